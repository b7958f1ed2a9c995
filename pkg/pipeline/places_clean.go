package pipeline

import (
	"cmp"
	"context"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// defaultOrphanAge is from when on what nothing is known of is removed.
const defaultOrphanAge = 7 * 24 * time.Hour

// leftovers is what killed runs left in one place.
func (b *Backup) leftovers(store storage.Store) Leftovers {
	return Leftovers{Store: store, Instance: b.Instance, Lease: b.Lease, OrphanAge: b.OrphanAge, Log: b.Log}
}

// clean removes what runs that were killed left behind. The lock is held, so
// none of it belongs to a run that lives.
func (b *Backup) clean(ctx context.Context) error {
	if b.mirrored() == nil {
		return b.leftovers(b.Store).Remove(ctx)
	}
	told := make(chan fates, 1) // a place that hangs may tell it too late
	leads := func(p storage.Place) bool { return p.Name == b.First }
	err := b.each(ctx, func(ctx context.Context, p storage.Place) error {
		if !leads(p) {
			return nil
		}
		known, err := b.fatesIn(ctx, p.Store)
		told <- known
		return err
	})
	if err != nil {
		return err
	}
	var known fates
	select {
	case known = <-told:
	default:
	}
	return b.each(ctx, func(ctx context.Context, p storage.Place) error {
		if leads(p) {
			return nil
		}
		return b.cleanOther(ctx, p.Store, known)
	})
}

// fates are what the place with the lock tells of runs that are over.
type fates struct {
	dead     []string // of backups that were never completed
	complete []string // of those that were
}

// fatesIn cleans the place that the lock is of, and returns what it knows.
func (b *Backup) fatesIn(ctx context.Context, store storage.Store) (f fates, err error) {
	if b.Lease != nil {
		f.dead = append(f.dead, b.Lease.Left()...)
	}
	if f.complete, err = catalog.Complete(ctx, store, b.Instance); err != nil {
		return f, err
	}
	removed, err := b.leftovers(store).remove(ctx)
	f.dead = append(f.dead, removed...)
	return f, err
}

// cleanOther cleans a place that the lock is not of: another machine may hold
// another lock, of another first place, while it writes here. So what is complete
// nowhere goes only if it is known to be dead, or old.
func (b *Backup) cleanOther(ctx context.Context, store storage.Store, known fates) error {
	left := b.leftovers(store)
	left.OrphanAge = cmp.Or(b.OthersAge, defaultOrphanAge)
	if _, err := left.removeUnfinished(ctx); err != nil {
		return err
	}
	_, _, err := left.removeAbandoned(ctx, known.dead, append(append([]string{}, known.dead...), known.complete...))
	return err
}
