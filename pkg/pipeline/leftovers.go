package pipeline

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// eventLeftovers marks in the log what killed runs left and the next removed.
const eventLeftovers = "leftovers-removed"

// Leftovers is what runs that were killed left in a store. Lease and OrphanAge
// are those of Backup.
type Leftovers struct {
	Store     storage.Store
	Instance  string
	Lease     Lease
	OrphanAge time.Duration
	Log       *zap.Logger
}

// Remove removes what surely belongs to no run that lives; the caller holds the
// instance's lock. What may not be removed is left, and the log says so: where a
// host may only write that is as it should be.
func (l Leftovers) Remove(ctx context.Context) error {
	_, err := l.remove(ctx)
	return err
}

// remove is Remove, and returns the ids of the backups of which it removed
// something.
func (l Leftovers) remove(ctx context.Context) ([]string, error) {
	unfinished, err := l.removeUnfinished(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := l.removeOrphans(ctx)
	return append(ids, unfinished...), err
}

// removeUnfinished removes files that were begun, and returns the ids of their
// backups.
func (l Leftovers) removeUnfinished(ctx context.Context) (ids []string, err error) {
	c, ok := l.Store.(storage.Cleaner)
	if !ok {
		return nil, nil
	}
	names, err := c.RemoveUnfinished(ctx, l.Instance+"/")
	if len(names) > 0 {
		l.Log.Info("removed unfinished files of a run that was killed", zap.String("event", eventLeftovers), zap.Strings("files", names))
	}
	if err != nil && !refused(err) {
		return nil, err
	}
	if err != nil {
		l.Log.Warn("what killed runs left unfinished stays there", zap.Error(err))
	}
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, l.Instance+"/"), "/")
		if _, err := catalog.ParseID(id); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// refused tells a store that lets nothing be removed from one that fails.
func refused(err error) bool {
	return errors.Is(err, storage.ErrForbidden) || errors.Is(err, storage.ErrLocked)
}

func (l Leftovers) removeOrphans(ctx context.Context) ([]string, error) {
	if l.Lease == nil && l.OrphanAge == 0 {
		ids, err := catalog.RemoveOrphans(ctx, l.Store, l.Instance)
		l.say(ids)
		return ids, err
	}
	var dead []string
	if l.Lease != nil {
		dead = l.Lease.Left()
	}
	ids, whole, err := l.removeAbandoned(ctx, dead, dead)
	if whole && l.Lease != nil {
		l.Lease.Cleaned(dead...)
	}
	return ids, err
}

// removeAbandoned removes backups that were never completed: those that are over,
// and those that are old. Of the ones that are dead, uploads may be open. It tells
// whether all of it is gone: what may not be removed is no error.
func (l Leftovers) removeAbandoned(ctx context.Context, dead, over []string) (ids []string, whole bool, err error) {
	ids, err = catalog.Abandoned(ctx, l.Store, l.Instance, l.OrphanAge, over)
	if err != nil {
		return nil, false, err
	}
	err = l.abortUploads(ctx, dead)
	if err == nil {
		err = catalog.RemoveFiles(ctx, l.Store, l.Instance, ids)
	}
	if err != nil {
		l.Log.Warn("files of a run that was killed are left", zap.String("storage", l.Store.String()), zap.Strings("backups", ids), zap.Error(err))
		return nil, false, context.Cause(ctx)
	}
	l.say(ids)
	return ids, true, nil
}

func (l Leftovers) say(ids []string) {
	if len(ids) > 0 {
		l.Log.Info("removed backups that were never completed", zap.String("event", eventLeftovers), zap.Strings("backups", ids))
	}
}

// abortUploads ends what runs that are dead began to store.
func (l Leftovers) abortUploads(ctx context.Context, dead []string) error {
	r, ok := l.Store.(storage.Reclaimer)
	if !ok {
		return nil
	}
	var all error
	for _, id := range dead {
		if _, err := catalog.ParseID(id); err != nil {
			continue // whoever writes the lease can write anything
		}
		_, err := r.RemoveAbandoned(ctx, catalog.Path(l.Instance, id, "")+"/", 0)
		all = errors.Join(all, err)
	}
	return all
}

// sayLeft says what places could not clear up beside what they stored.
func (b *Backup) sayLeft() {
	places := b.places()
	if m := b.mirrored(); m != nil {
		places = m.Places()
	}
	for _, p := range places {
		store, ok := p.Store.(storage.Untidy)
		if !ok {
			continue
		}
		for _, err := range store.Left() {
			b.Log.Warn("an upload that is not needed is left open; a later run ends it, if that is allowed", zap.String("place", p.Name), zap.Error(err))
		}
	}
}
