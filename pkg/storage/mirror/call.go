package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// rules say when a call of a place is given up.
type rules struct {
	impatient bool // others must not be kept waiting for long
	leads     bool // and they wait from the beginning, since this place goes first
	begins    bool // that the name is taken is the caller's error in whatever place
}

// call is what one place does.
type call struct {
	place *place
	err   error
	over  bool      // it returned, or was left behind
	ended time.Time // when it was told to; zero: it was not

	mu       sync.Mutex
	troubled time.Time // of the first error after which it was tried again
	trouble  error     // the last one
}

// note remembers an error after which the call goes on.
func (c *call) note(err error) {
	var temporary *storage.TemporaryError
	if !errors.As(err, &temporary) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.troubled.IsZero() {
		c.troubled = time.Now()
	}
	c.trouble = err
}

// late says why a call is to be given up, nil if it is not. The others wait
// since a time that may be zero.
func (c *call) late(s *Store, r rules, began, waiting, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	reason, limit, since := ErrStalled, s.options.Stall, began
	waits := r.impatient && !waiting.IsZero() && (!c.place.Watches || !c.troubled.IsZero())
	if waits && now.Sub(began) <= s.options.Stall {
		reason, limit, since = ErrBehind, s.options.Patience, waiting
		if c.place.Watches && c.troubled.After(since) {
			since = c.troubled
		}
	}
	switch {
	case now.Sub(since) <= limit:
		return nil
	case c.trouble != nil:
		return fmt.Errorf("%w for more than %s: %w", reason, limit, c.trouble)
	}
	return fmt.Errorf("%w for more than %s, without an answer: is its disk or its service alive?", reason, limit)
}

// led is all, in the first place before the others: so of those who race for a
// name one wins in all places. That the name is taken there is the caller's
// error, and no fault of the place.
func (s *Store) led(ctx context.Context, r rules, places []*place, f func(context.Context, *call) error) error {
	r.leads = true
	for len(places) > 0 {
		if exists := s.all(ctx, r, places[:1], f); exists != nil {
			return exists
		}
		led := s.takesPart(places[0])
		places = places[1:]
		if led || ctx.Err() != nil {
			break
		}
	}
	r.leads = false
	if exists := s.all(ctx, r, places, f); exists != nil {
		return exists
	}
	return s.outcome(ctx)
}

// outcome is nil if there is a place in which all went well.
func (s *Store) outcome(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(s.live()) == 0 {
		return s.gone()
	}
	return nil
}

func (s *Store) takesPart(p *place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.dropped == nil
}

// all calls f in each of places at once, and returns when nothing of that goes on
// any more. A place in which f fails, or is late, is left out. Its error is that
// the name is taken, where that is the caller's.
func (s *Store) all(ctx context.Context, r rules, places []*place, f func(context.Context, *call) error) (exists error) {
	if len(places) == 0 {
		return nil
	}
	results := make(chan *call, len(places))
	calls := make([]*call, len(places))
	for i, p := range places {
		calls[i] = &call{place: p}
		go s.run(ctx, calls[i], f, results)
	}
	began, waiting := time.Now(), time.Time{}
	if r.leads && len(s.live()) > 1 {
		waiting = began
	}
	tick := time.NewTicker(max(s.options.Patience/16, time.Millisecond))
	defer tick.Stop()
	for pending := len(calls); pending > 0; {
		select {
		case c := <-results:
			if c.over { // it was left behind
				continue
			}
			c.over = true
			pending--
			if c.err == nil && waiting.IsZero() {
				waiting = time.Now()
			}
			if err := s.returned(ctx, c, r); err != nil {
				exists = err
			}
		case now := <-tick.C:
			for _, c := range calls {
				if !c.over && s.leave(ctx, c, r, began, waiting, now) {
					c.over = true
					pending--
				}
			}
		}
	}
	return exists
}

// returned takes what a call came to. Its error is the caller's.
func (s *Store) returned(ctx context.Context, c *call, r rules) error {
	switch {
	case c.err == nil || ctx.Err() != nil: // the end of ctx is not its fault
	case (r.leads || r.begins) && errors.Is(c.err, storage.ErrExists):
		return c.err
	default:
		s.drop(c.place, c.err)
	}
	return nil
}

// run is one call, which ends with its place.
func (s *Store) run(ctx context.Context, c *call, f func(context.Context, *call) error, results chan<- *call) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.place.life, func() { cancel(context.Cause(c.place.life)) })
	defer stop()
	err := f(ctx, c)
	if err == nil && !s.takesPart(c.place) {
		err = context.Cause(c.place.life)
	}
	c.err = err
	results <- c
}

// leave ends a call that is late, and says whether it is to be left behind since
// it does not heed that. Such a call may still read the bytes that it was given,
// which change then: but nothing of them is ever committed in its place.
func (s *Store) leave(ctx context.Context, c *call, r rules, began, waiting, now time.Time) bool {
	if !c.ended.IsZero() {
		return now.Sub(c.ended) > grace
	}
	if err := c.late(s, r, began, waiting, now); err != nil && ctx.Err() == nil {
		s.drop(c.place, err)
	}
	if ctx.Err() != nil || c.place.life.Err() != nil {
		c.ended = now
	}
	return false
}
