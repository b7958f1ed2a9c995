package uploader

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// bounded runs call with a context that ends after limit. If call does not
// even return soon after its context has ended, it is left behind: a write to
// a file system that hangs cannot be interrupted.
func bounded(parent context.Context, limit time.Duration, call func(context.Context) error) error {
	stalled := fmt.Errorf("%w: one step took longer than %s", ErrStalled, limit)
	ctx, cancel := context.WithTimeoutCause(parent, limit, stalled)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		return withCause(ctx, err)
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return withCause(ctx, err)
	case <-timer.C:
		return fmt.Errorf("%w, and it still hangs", context.Cause(ctx))
	}
}

// withCause replaces the error of a call that only heeded its context by the
// reason why that ended.
func withCause(ctx context.Context, err error) error {
	if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
