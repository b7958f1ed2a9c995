package locker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// defaultTerm is how long a lease outlives its last renewal.
	defaultTerm = 2 * time.Minute
	// maxTerm bounds the term, so that what anybody wrote into the object does
	// not stand in the way for ever.
	maxTerm = time.Hour
	// releaseLimit bounds how long giving a lease back may take. If it cannot be
	// done the lease ends by itself.
	releaseLimit = 10 * time.Second
)

// Version is one state of a small object.
type Version struct {
	Tag           string    // differs from that of every other state
	Modified, Now time.Time // by the store's clock: when it was written, and when the store answered
}

// Conditional keeps small objects, and replaces one only if it is still the one
// that the writer has seen. Every method may be done although it says an error:
// its answer may have been lost.
type Conditional interface {
	// Get reads an object.
	Get(ctx context.Context, name string) ([]byte, Version, error)
	// PutNew writes an object if there is none of that name.
	PutNew(ctx context.Context, name string, data []byte) (Version, error)
	// Replace overwrites an object if its tag is still this one.
	Replace(ctx context.Context, name string, data []byte, tag string) (Version, error)
}

// LeaseOptions say how a lease is held. The zero value will do.
type LeaseOptions struct {
	Owner string        // who holds it, for people; default: this process and its host
	Term  time.Duration // default 2 minutes, at most an hour
}

// Lease is a lock kept as an object in a store that all hosts share. It may be
// used again and again, by one run at a time.
type Lease struct {
	store    Conditional
	notFound error
	name     string
	owner    string
	term     time.Duration
	session  string               // tells this value from all others
	clock    func() time.Duration // never goes back; the wall clock is not asked

	mu   sync.Mutex // never held while something is awaited
	busy bool
	hold *hold
	seen sighting
	left []string
}

// sighting is since when, by the clock, a lease is known to be unchanged.
type sighting struct {
	tag string
	at  time.Duration
}

// NewLease returns a lease kept in the object of that name; notFound is the
// error that the store's Get wraps where there is none.
func NewLease(store Conditional, notFound error, name string, o LeaseOptions) *Lease {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Lease{
		store: store, notFound: notFound, name: name,
		owner:   cmp.Or(o.Owner, fmt.Sprintf("process %d on %q", os.Getpid(), host)),
		term:    limitTerm(o.Term, defaultTerm),
		session: rand.Text(),
		clock:   bootClock(),
	}
}

func limitTerm(term, otherwise time.Duration) time.Duration {
	if term <= 0 {
		term = otherwise
	}
	return min(term, maxTerm)
}

// Acquire takes the lease, or says ErrHeld. If its holder seems to be dead it
// first watches the lease, for a little more than half its term, whether it is
// renewed after all. The context that it returns ends when ctx does, when the
// lease is given back, and with ErrLost as cause half a term after the last
// renewal, or as soon as another holds it. The function gives the lease back; it
// may be called again.
func (l *Lease) Acquire(ctx context.Context) (context.Context, func(), error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if !l.begin() {
		return nil, nil, fmt.Errorf("%w: this process holds the lease %s: wait until it ends", ErrHeld, l.name)
	}
	h, err := l.take(ctx)
	if err != nil {
		l.finish()
		return nil, nil, err
	}
	run := h.start(ctx)
	release := sync.OnceFunc(func() { h.stop(); l.finish() })
	if err := context.Cause(run); err != nil {
		release()
		return nil, nil, err
	}
	return run, release, nil
}

// Announce writes into the lease which backup this run makes, so that whoever
// takes the lease over should it die knows what may be removed. It is to be called
// before anything of the backup is stored.
func (l *Lease) Announce(ctx context.Context, backup string) error {
	l.mu.Lock()
	h := l.hold
	l.mu.Unlock()
	if h == nil {
		return fmt.Errorf("lease %s: it is not held", l.name)
	}
	return h.announce(ctx, backup)
}

// Left returns the backups that holders who died announced, and that nobody has
// said are cleaned up. The ids are as read from the store: check them.
func (l *Lease) Left() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.left...)
}

// Cleaned says that nothing is left of these backups. The lease forgets them
// when it is next written.
func (l *Lease) Cleaned(backups ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = without(l.left, backups)
}

func (l *Lease) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return false
	}
	l.busy = true
	return true
}

func (l *Lease) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.hold = false, nil
}

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
		s, err := l.look(ctx)
		if err != nil {
			return nil, fmt.Errorf("lease %s: reading it: %w", l.name, err)
		}
		wait, err := l.mayTake(s)
		if err != nil {
			return nil, err
		}
		if wait > 0 {
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
	v, err := l.put(limited, h.body, s.Tag)
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
