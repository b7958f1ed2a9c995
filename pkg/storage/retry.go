package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// TemporaryError wraps an error after which the same call may work: a time-out,
// a reset, an answer of 5xx or 429, a request to slow down.
type TemporaryError struct {
	Err   error
	After time.Duration // what the service asked to wait; 0: nothing
}

func (e *TemporaryError) Error() string { return e.Err.Error() }

func (e *TemporaryError) Unwrap() error { return e.Err }

// Backoff says how often something is tried, and how long to wait between two
// tries: a random time up to First, then up to twice that, and so on up to
// Longest, so that many clients do not come back at the same moment. The zero
// value is 8 tries, 0.5 s doubling to 30 s.
type Backoff struct {
	Tries          int
	First, Longest time.Duration
}

const (
	defaultTries   = 8
	defaultFirst   = 500 * time.Millisecond
	defaultLongest = 30 * time.Second

	// longestAfter bounds what a service may ask to wait.
	longestAfter = 5 * time.Minute
)

func (b Backoff) withDefaults() Backoff {
	if b.Tries <= 0 {
		b.Tries = defaultTries
	}
	if b.First <= 0 {
		b.First = defaultFirst
	}
	if b.Longest <= 0 {
		b.Longest = max(defaultLongest, b.First)
	}
	return b
}

// Retry calls f until it returns nil, an error that is no [TemporaryError], or
// the tries or ctx are used up. A wait is never shorter than what the service
// asked for, up to 5 minutes.
func (b Backoff) Retry(ctx context.Context, f func(ctx context.Context) error) error {
	b = b.withDefaults()
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := f(ctx)
		var temporary *TemporaryError
		if err == nil || !errors.As(err, &temporary) {
			return err
		}
		if try >= b.Tries {
			return fmt.Errorf("%w (tried %d times)", err, try)
		}
		if cause := sleep(ctx, b.wait(try, temporary.After)); cause != nil {
			return fmt.Errorf("%w (after %d tries: %v)", cause, try, err)
		}
	}
}

// wait is how long to wait after a try, from 1.
func (b Backoff) wait(try int, after time.Duration) time.Duration {
	limit := b.First
	for i := 1; i < try && limit < b.Longest; i++ {
		limit *= 2
	}
	limit = min(limit, b.Longest)
	return max(rand.N(limit+1), min(after, longestAfter))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Limited is a Store with limits on one object.
type Limited interface {
	Limits() Limits
}

// Limits are a store's limits on one object. 0 means that there is none.
type Limits struct {
	MaxParts int   // parts of an object
	MinPart  int64 // bytes of a part that is not the last
	MaxPart  int64 // bytes of a part
}
