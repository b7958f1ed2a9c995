package uploader

import (
	"context"
	"sync"
	"time"
)

// pace keeps what goes to the store to a number of bytes a second: a part may
// start when all that started before it would have gone through a line of that
// speed. What was not used is not saved up. A nil pace knows no limit.
type pace struct {
	rate int64

	mu   sync.Mutex
	next time.Time // when the line is free
}

func newPace(rate int64) *pace {
	if rate <= 0 {
		return nil
	}
	return &pace{rate: rate}
}

// wait returns when the next n bytes may go.
func (p *pace) wait(ctx context.Context, n int) error {
	if p == nil {
		return nil
	}
	timer := time.NewTimer(time.Until(p.book(n)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// book takes the next time at which n bytes may go. Those of a part that is
// tried again are booked and not waited for: others wait the longer.
func (p *pace) book(n int) (start time.Time) {
	if p == nil {
		return start
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	start = p.next
	if now := time.Now(); start.Before(now) {
		start = now
	}
	p.next = start.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return start
}
