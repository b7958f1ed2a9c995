package scheduler

import (
	"context"
	"time"
)

// waiter sleeps between the runs of a loop.
type waiter struct {
	requests <-chan struct{}  // nil once closed
	tick     time.Duration    // how long it sleeps at most; 0: a minute
	clock    func() time.Time // nil: time.Now
	turned   func()           // may be nil
}

func (w *waiter) now() time.Time {
	if w.clock != nil {
		return w.clock().Round(0)
	}
	return time.Now().Round(0) // without the monotonic clock, which stands still in suspend
}

func (w *waiter) beat() {
	if w.turned != nil {
		w.turned()
	}
}

// wait sleeps until a time, or until the clock was put back; it says whether a
// backup was requested meanwhile.
func (w *waiter) wait(ctx context.Context, at time.Time) (requested bool) {
	tick := w.tick
	if tick <= 0 {
		tick = defaultTick
	}
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for last := w.now(); ; {
		w.beat()
		now := w.now()
		if !now.Before(at) || now.Before(last) {
			return false
		}
		last = now
		timer.Reset(min(at.Sub(now), tick))
		select {
		case <-ctx.Done():
			return false
		case _, open := <-w.requests:
			if open {
				return ctx.Err() == nil
			}
			w.requests = nil
		case <-timer.C:
		}
	}
}

// answer takes the requests that wait.
func (w *waiter) answer() {
	for {
		select {
		case _, open := <-w.requests:
			if !open {
				w.requests = nil
			}
		default:
			return
		}
	}
}

// teller passes on each plan that differs from the last one.
type teller struct {
	planned func(Plan) // may be nil
	told    *Plan
}

func (t *teller) tell(p Plan) {
	if t.told != nil && t.told.At.Equal(p.At) && t.told.Reason == p.Reason && text(t.told.Err) == text(p.Err) {
		return
	}
	t.told = &p
	if t.planned != nil {
		t.planned(p)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
