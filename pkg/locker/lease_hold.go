package locker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// hold is a lease that is held. One goroutine renews it; body and tag are its own
// while it runs.
type hold struct {
	lease *Lease
	run   context.Context
	end   context.CancelCauseFunc
	body  body
	tag   string // "" until it is known
	asks  chan announcement

	keeping sync.WaitGroup

	mu    sync.Mutex
	sent  time.Duration // by the clock: when what the store holds was sent
	last  error         // why it could not be renewed since
	limit *time.Timer   // ends the run half a term after sent
}

// announcement is a backup to be written into the lease.
type announcement struct {
	backup string
	done   chan error
}

// runContext is a context that looks at the clock itself whenever it is asked: a
// process that stood still must not go on before its timers have fired.
type runContext struct {
	context.Context
	check func()
}

func (c runContext) Err() error { c.check(); return c.Context.Err() }

// start begins to renew the lease.
func (h *hold) start(ctx context.Context) context.Context {
	h.run, h.end = context.WithCancelCause(ctx)
	h.mu.Lock()
	h.limit = time.AfterFunc(h.sent+h.lease.term/2-h.lease.clock(), h.expire)
	h.mu.Unlock()
	h.lease.mu.Lock()
	h.lease.hold = h
	h.lease.mu.Unlock()
	h.keeping.Go(h.keep)
	return runContext{h.run, func() { h.check() }}
}

// stop ends the run and gives the lease back.
func (h *hold) stop() {
	h.end(nil)
	h.keeping.Wait()
	h.mu.Lock()
	h.limit.Stop()
	h.mu.Unlock()
	h.lease.giveBack(h.run, h.body, h.tag)
}

// check ends the run if it is time, and else says how much is left.
func (h *hold) check() time.Duration {
	h.mu.Lock()
	rest := h.sent + h.lease.term/2 - h.lease.clock()
	last := h.last
	h.mu.Unlock()
	if rest > 0 {
		return rest
	}
	why := "this process or its machine stood still"
	if last != nil {
		why = last.Error()
	}
	h.end(fmt.Errorf("%w: the lease %s could not be renewed for %s (%s), and soon another may take it: see that the store can be reached, and run again",
		ErrLost, h.lease.name, h.lease.term/2, why))
	return 0
}

// expire is check, by the timer.
func (h *hold) expire() {
	if rest := h.check(); rest > 0 && h.run.Err() == nil {
		h.mu.Lock()
		h.limit.Reset(rest)
		h.mu.Unlock()
	}
}

// keep renews the lease at a third of its term, and when something is to be
// announced.
func (h *hold) keep() {
	for {
		due := time.NewTimer(h.sent + h.lease.term/3 - h.lease.clock())
		var ask announcement
		select {
		case <-h.run.Done():
			due.Stop()
			return
		case <-due.C:
			ask.backup = h.body.Backup
		case ask = <-h.asks:
			due.Stop()
		}
		err := h.renew(ask.backup)
		if err != nil {
			h.end(err)
		}
		if ask.done != nil {
			ask.done <- err
		}
	}
}

// renew writes the lease anew, and tries until that is done or the run ends. The
// same bytes are written again, or a write whose answer was lost could not be
// told from another's.
func (h *hold) renew(backup string) error {
	next, sent := h.lease.next(h.body, backup), h.lease.clock()
	for {
		v, err := h.lease.put(h.run, next, h.tag)
		if err == nil {
			h.body = next
			h.mu.Lock()
			h.sent, h.last = sent, nil
			h.limit.Reset(sent + h.lease.term/2 - h.lease.clock())
			h.mu.Unlock()
			h.wrote(v)
			return nil
		}
		var other *takenError
		if errors.As(err, &other) {
			return fmt.Errorf("%w: the lease %s is not this run's any more: %w; this host was cut off or stood still, or somebody changed the store: run again once no other runs", ErrLost, h.lease.name, other)
		}
		h.mu.Lock()
		h.last = err
		h.mu.Unlock()
		if err := sleep(h.run, h.lease.pause()); err != nil {
			return err
		}
	}
}

// wrote notes what the store says of what was written.
func (h *hold) wrote(v Version) {
	h.tag = v.Tag
	if h.body.Since.IsZero() {
		h.body.Since = cmp.Or(v.Modified, v.Now).UTC()
	}
}

// announce has the backup written into the lease.
func (h *hold) announce(ctx context.Context, backup string) error {
	ask := announcement{backup, make(chan error, 1)}
	select {
	case h.asks <- ask:
	case <-h.run.Done():
		return context.Cause(h.run)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-ask.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
