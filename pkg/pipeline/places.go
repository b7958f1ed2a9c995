package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// placeLimit bounds what is done in one of several places before the dump and
// after it: one that hangs must not end the run in the others.
const placeLimit = time.Minute

// PartialError says that a backup was proved, and not in every place that it was
// to go to. It is as good as any where it is; where it is not, nothing of it
// stays, or the place's error says so.
type PartialError struct {
	Manifest *catalog.Manifest
	Proved   []string        // names of the places that hold it
	Failed   []storage.Place // the others, each with its error
}

func (e *PartialError) Error() string {
	text := fmt.Sprintf("backup %s is in %s, but not in every place", e.Manifest.ID, strings.Join(e.Proved, " and "))
	for _, p := range e.Failed {
		text += fmt.Sprintf("; %s: %v", p.Name, p.Err)
	}
	return text
}

// Unwrap returns why the other places do not hold it.
func (e *PartialError) Unwrap() []error {
	var all []error
	for _, p := range e.Failed {
		all = append(all, p.Err)
	}
	return all
}

// mirrored returns the store as several places, nil if it is one.
func (b *Backup) mirrored() storage.Mirrored {
	m, _ := b.Store.(storage.Mirrored)
	return m
}

// places are those that take part.
func (b *Backup) places() (live []storage.Place) {
	m := b.mirrored()
	if m == nil {
		return []storage.Place{{Name: b.Store.String(), Store: b.Store}}
	}
	for _, p := range m.Places() {
		if p.Err == nil {
			live = append(live, p)
		}
	}
	return live
}

// each calls f for every place that takes part, at once. Of several, one in which
// f fails or hangs is left out, and the error is that none is left.
func (b *Backup) each(ctx context.Context, f func(ctx context.Context, place storage.Place) error) error {
	m := b.mirrored()
	if m == nil {
		return f(ctx, b.places()[0])
	}
	var running sync.WaitGroup
	for _, p := range b.places() {
		running.Go(func() {
			err := within(ctx, placeLimit, func(ctx context.Context) error { return f(ctx, p) })
			if err != nil && ctx.Err() == nil {
				m.Drop(p.Name, err)
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(b.places()) == 0 {
		return b.noneLeft()
	}
	return nil
}

// within calls f, and leaves it behind when it does not even heed the end of its
// context.
func within(ctx context.Context, limit time.Duration, f func(ctx context.Context) error) error {
	late := fmt.Errorf("no answer within %s", limit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(time.Second):
		return context.Cause(ctx)
	}
}

// noneLeft says why no place is left.
func (b *Backup) noneLeft() error {
	var all error
	for _, p := range b.mirrored().Places() {
		all = errors.Join(all, fmt.Errorf("%s: %w", p.Name, p.Err))
	}
	return fmt.Errorf("no place is left: %w", all)
}

// newest is the id of the newest backup in any place.
func (b *Backup) newest(ctx context.Context) (newest string, err error) {
	var mu sync.Mutex
	err = b.each(ctx, func(ctx context.Context, p storage.Place) error {
		id, err := catalog.Newest(ctx, p.Store, b.Instance)
		mu.Lock()
		defer mu.Unlock()
		newest = max(newest, id)
		return err
	})
	mu.Lock()
	defer mu.Unlock()
	return newest, err
}

// commit writes the manifest in every place that holds all files. Where it cannot
// be written for sure, the backup is taken back.
func (b *Backup) commit(ctx context.Context, m *catalog.Manifest) error {
	if b.mirrored() == nil {
		err := catalog.Commit(ctx, b.Store, m, b.Signer)
		if err != nil {
			b.revoke(ctx, m, b.Store)
		}
		return err
	}
	return b.each(ctx, func(ctx context.Context, p storage.Place) error {
		if err := b.whole(ctx, p.Store, m); err != nil {
			return err
		}
		err := catalog.Commit(ctx, p.Store, m, b.Signer)
		if err != nil && !errors.Is(err, storage.ErrExists) { // what is there was not written by this run
			b.revoke(ctx, m, p.Store)
		}
		return err
	})
}

// takeBack removes a backup of several places whose commit failed, or was ended
// while some of them had it.
func (b *Backup) takeBack(ctx context.Context, m *catalog.Manifest) {
	if b.mirrored() == nil {
		return
	}
	dropped := b.dropped(ctx)
	for _, p := range append(b.places(), dropped...) {
		if p.Store != nil {
			b.revoke(ctx, m, p.Store)
		}
	}
}

// whole compares what a place lists with the manifest.
func (b *Backup) whole(ctx context.Context, store storage.Store, m *catalog.Manifest) error {
	objects, err := store.List(ctx, catalog.Path(m.Instance, m.ID, "")+"/")
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		name := catalog.Path(m.Instance, m.ID, f.Name)
		i := slices.IndexFunc(objects, func(o storage.Object) bool { return o.Name == name })
		switch {
		case i < 0:
			return fmt.Errorf("%s was stored, and is not listed", name)
		case objects[i].Size != f.StoredBytes:
			return fmt.Errorf("%s is listed with %d bytes, and %d were sent", name, objects[i].Size, f.StoredBytes)
		}
	}
	return nil
}

// partial takes back what the places hold that were left out, and says which.
func (b *Backup) partial(ctx context.Context, m *catalog.Manifest) error {
	mirrored := b.mirrored()
	if mirrored == nil {
		return nil
	}
	e := &PartialError{Manifest: m}
	for _, p := range b.dropped(ctx) {
		if left, cause := b.remove(ctx, p.Store, m); cause != nil {
			p.Err = fmt.Errorf("%w (left there, until a later run removes it: %s: %v)", p.Err, strings.Join(left, ", "), cause)
		}
		b.Log.Warn("a place was left out of the backup", zap.String("place", p.Name), zap.Error(p.Err))
		e.Failed = append(e.Failed, p)
	}
	if len(e.Failed) == 0 {
		return nil
	}
	for _, p := range b.places() {
		e.Proved = append(e.Proved, p.Name)
	}
	return e
}

// dropped are the places that were left out, when nothing goes on there any more.
func (b *Backup) dropped(ctx context.Context) (dropped []storage.Place) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	b.mirrored().Settle(ctx)
	for _, p := range b.mirrored().Places() {
		if errors.Is(p.Err, storage.ErrExists) {
			p.Store = nil // what is there was not written by this run
		}
		if p.Err != nil {
			dropped = append(dropped, p)
		}
	}
	return dropped
}
