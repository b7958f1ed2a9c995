package locker

import (
	"context"
	"slices"
	"sync"
)

// Locker is one of the locks of this package.
type Locker interface {
	Acquire(ctx context.Context) (context.Context, func(), error)
}

// All is a lock that is held when all of these are. They are taken in order, the
// cheapest first, and given back in the other; if one cannot be had the ones
// before it are given back. Its context ends when any of them is lost. A Lease
// should be the last, so that its own context is what the run asks.
func All(locks ...Locker) Locker { return all(locks) }

type all []Locker

// Confirm asks those locks that can be asked.
func (a all) Confirm(ctx context.Context) error {
	for _, lock := range a {
		if c, ok := lock.(interface{ Confirm(context.Context) error }); ok {
			if err := c.Confirm(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a all) Acquire(ctx context.Context) (context.Context, func(), error) {
	var releases []func()
	release := sync.OnceFunc(func() {
		for _, release := range slices.Backward(releases) {
			release()
		}
	})
	for _, lock := range a {
		run, free, err := lock.Acquire(ctx)
		if err != nil {
			release()
			return nil, nil, err
		}
		ctx, releases = run, append(releases, free)
	}
	return ctx, release, nil
}
