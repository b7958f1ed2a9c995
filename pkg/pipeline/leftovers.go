package pipeline

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// defaultOrphanAge is from when on what nothing is known of is removed.
const defaultOrphanAge = 7 * 24 * time.Hour

// clean removes what runs that were killed left behind. The lock is held, so
// none of it belongs to a run that lives.
func (b *Backup) clean(ctx context.Context) error {
	if b.mirrored() == nil {
		_, err := b.cleanFirst(ctx, b.Store)
		return err
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
	removed, err := b.cleanFirst(ctx, store)
	f.dead = append(f.dead, removed...)
	return f, err
}

// cleanFirst cleans the place that the lock is of, and returns the ids of the
// backups of which it removed something.
func (b *Backup) cleanFirst(ctx context.Context, store storage.Store) ([]string, error) {
	unfinished, err := b.cleanUnfinished(ctx, store)
	if err != nil {
		return nil, err
	}
	ids, err := b.removeOrphans(ctx, store)
	b.sayOrphans(ids)
	return append(ids, unfinished...), err
}

// cleanOther cleans a place that the lock is not of: another machine may hold
// another lock, of another first place, while it writes here. So what is complete
// nowhere goes only if it is known to be dead, or old.
func (b *Backup) cleanOther(ctx context.Context, store storage.Store, known fates) error {
	if _, err := b.cleanUnfinished(ctx, store); err != nil {
		return err
	}
	over := append(append([]string{}, known.dead...), known.complete...)
	ids, err := catalog.Abandoned(ctx, store, b.Instance, cmp.Or(b.OrphanAge, defaultOrphanAge), over)
	if err != nil {
		return err
	}
	err = b.abortUploads(ctx, store, known.dead)
	if err == nil {
		err = catalog.RemoveFiles(ctx, store, b.Instance, ids)
	}
	if err != nil {
		b.Log.Warn("files of a run that was killed are left", zap.String("place", store.String()), zap.Strings("backups", ids), zap.Error(err))
		return context.Cause(ctx)
	}
	b.sayOrphans(ids)
	return nil
}

func (b *Backup) sayOrphans(ids []string) {
	if len(ids) > 0 {
		b.Log.Info("removed backups that were never completed", zap.String("event", eventLeftovers), zap.Strings("backups", ids))
	}
}

// cleanUnfinished removes files that were begun, and returns the ids of their
// backups.
func (b *Backup) cleanUnfinished(ctx context.Context, store storage.Store) (ids []string, err error) {
	c, ok := store.(storage.Cleaner)
	if !ok {
		return nil, nil
	}
	names, err := c.RemoveUnfinished(ctx, b.Instance+"/")
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		b.Log.Info("removed unfinished files of a run that was killed", zap.String("event", eventLeftovers), zap.Strings("files", names))
	}
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, b.Instance+"/"), "/")
		if _, err := catalog.ParseID(id); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (b *Backup) removeOrphans(ctx context.Context, store storage.Store) ([]string, error) {
	if b.Lease == nil {
		return catalog.RemoveOrphans(ctx, store, b.Instance)
	}
	dead := b.Lease.Left()
	ids, err := catalog.Abandoned(ctx, store, b.Instance, b.OrphanAge, dead)
	if err != nil {
		return nil, err
	}
	err = b.abortUploads(ctx, store, dead)
	if err == nil {
		err = catalog.RemoveFiles(ctx, store, b.Instance, ids)
	}
	if err != nil {
		// Where deletion is forbidden that is as it should be.
		b.Log.Warn("files of a run that was killed are left", zap.Strings("backups", ids), zap.Error(err))
		return nil, context.Cause(ctx)
	}
	b.Lease.Cleaned(dead...)
	return ids, nil
}

// abortUploads ends what runs that are dead began to store.
func (b *Backup) abortUploads(ctx context.Context, store storage.Store, dead []string) error {
	r, ok := store.(storage.Reclaimer)
	if !ok {
		return nil
	}
	var all error
	for _, id := range dead {
		if _, err := catalog.ParseID(id); err != nil {
			continue // whoever writes the lease can write anything
		}
		_, err := r.RemoveAbandoned(ctx, catalog.Path(b.Instance, id, "")+"/", 0)
		all = errors.Join(all, err)
	}
	return all
}
