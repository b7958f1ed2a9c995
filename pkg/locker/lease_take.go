package locker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watched is how long this lease has been seen unchanged.
func (l *Lease) watched(tag string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	if l.seen.tag != tag {
		l.seen = sighting{tag, now}
	}
	return now - l.seen.at
}

// take makes the lease this one's.
func (l *Lease) take(ctx context.Context) (*hold, error) {
	for range attempts {
		s, err := l.lookLong(ctx)
		if err != nil {
			return nil, fmt.Errorf("lease %s: reading it: %w", l.name, err)
		}
		wait, err := l.mayTake(s)
		if err != nil {
			return nil, err
		}
		if wait > 0 {
			if l.watching != nil {
				l.watching(s.who(), wait)
			}
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			continue // it may have been renewed meanwhile
		}
		h, err := l.replace(ctx, s)
		var other *takenError
		if !errors.As(err, &other) {
			return h, err
		}
	}
	return nil, fmt.Errorf("%w: the lease %s goes from one to the other: wait, and try again", ErrHeld, l.name)
}

// mayTake says whether a lease may be taken, or how long it must be watched
// before, or who holds it. Only the store's clock says how old it is. Clocks of a
// store may jump too, or differ from node to node; so it must also stay unchanged
// until a holder that lives would have renewed it or stopped, by the time that
// passes here.
func (l *Lease) mayTake(s state) (wait time.Duration, err error) {
	watched := l.watched(s.Tag)
	if s.absent || s.Free || s.Session == l.session {
		return 0, nil
	}
	if s.Modified.IsZero() || s.Now.IsZero() {
		return 0, fmt.Errorf("%w: %s, and the store does not say how old the lease %s is: wait until it ends, and set DBACKED_LOCK=database", ErrHeld, s.who(), l.name)
	}
	term := limitTerm(s.Term, l.term)
	if age := s.Now.Sub(s.Modified); age <= term {
		return 0, fmt.Errorf("%w: %s, heard of %s ago (lease %s): wait until it ends; if it is dead, its lease runs out in %s",
			ErrHeld, s.who(), short(age), l.name, short(term-age))
	}
	return max(0, term/2+term/10-watched), nil
}

// replace writes this one's lease in place of what was seen.
func (l *Lease) replace(ctx context.Context, s state) (*hold, error) {
	l.inherit(s)
	h := &hold{lease: l, body: l.next(s.body, ""), sent: l.clock(), asks: make(chan announcement)}
	h.body.Since = time.Time{}
	limited, cancel := context.WithTimeout(ctx, l.term/3)
	defer cancel()
	v, err := l.settle(limited, h.body, s.Tag)
	if err == nil {
		h.wrote(v)
		return h, nil
	}
	var other *takenError
	if !errors.As(err, &other) {
		l.giveBack(ctx, h.body, s.Tag) // it may be there, and nobody would renew it
		err = fmt.Errorf("lease %s: writing it: %w", l.name, err)
	}
	return nil, err
}

// inherit takes on what the dead left.
func (l *Lease) inherit(s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = s.Left
	if s.Backup != "" && !s.Free {
		l.left = append(without(l.left, []string{s.Backup}), s.Backup)
	}
	if n := len(l.left); n > maxLeft {
		l.left = l.left[n-maxLeft:]
	}
}
