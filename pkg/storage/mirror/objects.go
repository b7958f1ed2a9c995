package mirror

import (
	"context"
	"errors"
	"io"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Put writes a small object in every place, if there is none of that name.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	return s.led(ctx, rules{}, s.live(), func(ctx context.Context, c *call) error { return c.place.Store.Put(ctx, name, data) })
}

// Open reads an object from the first place that answers.
func (s *Store) Open(ctx context.Context, name string, offset int64) (r io.ReadCloser, err error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	err = s.first(ctx, func(one storage.Store) error {
		r, err = one.Open(ctx, name, offset)
		return err
	})
	return r, err
}

// List lists what the first place that answers holds.
func (s *Store) List(ctx context.Context, prefix string) (objects []storage.Object, err error) {
	err = s.first(ctx, func(one storage.Store) error {
		objects, err = one.List(ctx, prefix)
		return err
	})
	return objects, err
}

// first asks one place after the other until one answers, even if that is that
// the object is not there.
func (s *Store) first(ctx context.Context, ask func(storage.Store) error) error {
	live := s.live()
	if len(live) == 0 {
		return s.gone()
	}
	var err error
	for _, p := range live {
		err = ask(p.Store)
		if err == nil || errors.Is(err, storage.ErrNotFound) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// Remove removes an object in every place that takes part.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	live := s.live()
	results := make(chan error, len(live))
	for _, p := range live {
		go func() { results <- p.Store.Remove(ctx, name) }()
	}
	var all error
	for range live {
		all = errors.Join(all, <-results)
	}
	return all
}
