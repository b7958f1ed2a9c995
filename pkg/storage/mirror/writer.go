package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dbacked/dbacked/pkg/storage"
)

// part is where a part of an object lies in it.
type part struct {
	number       int
	offset, size int64
}

// writer is one object on its way to all places.
type writer struct {
	store *Store
	name  string
	legs  map[*place]storage.Writer // in the places that take part; the Store's mutex guards it

	mu    sync.Mutex
	parts map[int]part
	ended bool
}

// Create begins an object in every place.
func (s *Store) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	w := &writer{store: s, name: name, legs: map[*place]storage.Writer{}, parts: map[int]part{}}
	s.mu.Lock()
	s.writers[w] = true
	s.mu.Unlock()
	err := s.led(ctx, rules{impatient: true, begins: true}, s.live(), func(ctx context.Context, c *call) error {
		leg, err := c.place.Store.Create(ctx, name)
		if err == nil {
			w.join(c.place, leg)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return w, nil
}

// check refuses what is the caller's fault before a place can be blamed for it.
func check(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return storage.CheckName(name)
}

// join adds what was begun in a place, unless that was left out meanwhile.
func (w *writer) join(p *place, leg storage.Writer) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if p.dropped == nil && w.store.writers[w] {
		w.legs[p] = leg
		return
	}
	w.store.abandon(p, leg)
}

func (w *writer) leg(p *place) storage.Writer {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.legs[p]
}

// running are the places that the object goes to.
func (w *writer) running() (running []*place) {
	for _, p := range w.store.live() {
		if w.leg(p) != nil {
			running = append(running, p)
		}
	}
	return running
}

// WritePart writes a part to every place, again in each after errors that may
// pass. Its own error is never such a one.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if number < 1 || offset < 0 {
		return fmt.Errorf("write %s: part %d at offset %d is not possible", w.name, number, offset)
	}
	if err := w.add(part{number, offset, int64(len(p))}); err != nil {
		return err
	}
	err := w.store.all(ctx, rules{impatient: true}, w.running(), func(ctx context.Context, c *call) error {
		return w.store.options.Backoff.Retry(ctx, func(ctx context.Context) error {
			leg := w.leg(c.place)
			if leg == nil {
				return context.Cause(c.place.life)
			}
			err := leg.WritePart(ctx, number, offset, p)
			c.note(err)
			return err
		})
	})
	if err != nil {
		return err
	}
	return w.store.outcome(ctx)
}

func (w *writer) add(p part) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return fmt.Errorf("write %s: it was committed or aborted before", w.name)
	}
	w.parts[p.number] = p
	return nil
}

// size is that of all parts, which must leave no hole.
func (w *writer) size() (size int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, fmt.Errorf("commit %s: it was committed or aborted before", w.name)
	}
	var all []part
	for _, p := range w.parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b part) int { return a.number - b.number })
	for i, p := range all {
		if p.number != i+1 || p.offset != size {
			return 0, fmt.Errorf("commit %s: part %d is missing at offset %d", w.name, i+1, size)
		}
		size += p.size
	}
	return size, nil
}

// Commit makes the object visible in every place, and compares in each what is
// there with what was sent.
func (w *writer) Commit(ctx context.Context) (storage.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	size, err := w.size()
	if err != nil {
		return storage.Object{}, err
	}
	var mu sync.Mutex
	var first storage.Object
	err = w.store.led(ctx, rules{}, w.running(), func(ctx context.Context, c *call) error {
		leg := w.leg(c.place)
		if leg == nil {
			return context.Cause(c.place.life)
		}
		object, err := leg.Commit(ctx)
		if err == nil && object.Size != size {
			err = fmt.Errorf("%w: %d bytes of %s were sent and %d are there", ErrSize, size, w.name, object.Size)
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil && first.Name == "" {
			first = object
		}
		return err
	})
	if err != nil {
		return storage.Object{}, err
	}
	w.end()
	mu.Lock()
	defer mu.Unlock()
	return first, nil
}

// end takes the legs from the writer.
func (w *writer) end() map[*place]storage.Writer {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writers, w)
	legs := w.legs
	w.legs = nil
	return legs
}

// Abort removes what was written in every place that still takes part.
func (w *writer) Abort(ctx context.Context) error {
	legs := w.end()
	results := make(chan error, len(legs))
	for p, leg := range legs {
		go func() {
			err := leg.Abort(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", p.Name, err)
				w.retain(p, leg)
			}
			results <- err
		}()
	}
	var all error
	for range legs {
		all = errors.Join(all, <-results)
	}
	return all
}

// retain keeps what could not be aborted, so that another Abort can try again.
func (w *writer) retain(p *place, leg storage.Writer) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.legs == nil {
		w.legs = map[*place]storage.Writer{}
	}
	w.legs[p] = leg
}
