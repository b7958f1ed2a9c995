package pipeline

import (
	"context"
	"errors"
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
	if c, ok := l.Store.(storage.Cleaner); ok {
		names, err := c.RemoveUnfinished(ctx, l.Instance+"/")
		if len(names) > 0 {
			l.Log.Info("removed unfinished files of a run that was killed", zap.String("event", eventLeftovers), zap.Strings("files", names))
		}
		if err != nil && !refused(err) {
			return err
		}
		if err != nil {
			l.Log.Warn("what killed runs left unfinished stays there", zap.Error(err))
		}
	}
	ids, err := l.removeOrphans(ctx)
	if len(ids) > 0 {
		l.Log.Info("removed backups that were never completed", zap.String("event", eventLeftovers), zap.Strings("backups", ids))
	}
	return err
}

// refused tells a store that lets nothing be removed from one that fails.
func refused(err error) bool {
	return errors.Is(err, storage.ErrForbidden) || errors.Is(err, storage.ErrLocked)
}

func (l Leftovers) removeOrphans(ctx context.Context) ([]string, error) {
	if l.Lease == nil && l.OrphanAge == 0 {
		return catalog.RemoveOrphans(ctx, l.Store, l.Instance)
	}
	var dead []string
	if l.Lease != nil {
		dead = l.Lease.Left()
	}
	ids, err := catalog.Abandoned(ctx, l.Store, l.Instance, l.OrphanAge, dead)
	if err != nil {
		return nil, err
	}
	err = l.abortUploads(ctx, dead)
	if err == nil {
		err = catalog.RemoveFiles(ctx, l.Store, l.Instance, ids)
	}
	if err != nil {
		l.Log.Warn("files of a run that was killed are left", zap.Strings("backups", ids), zap.Error(err))
		return nil, context.Cause(ctx)
	}
	if l.Lease != nil {
		l.Lease.Cleaned(dead...)
	}
	return ids, nil
}

// abortUploads ends what runs that are dead began to store.
func (l Leftovers) abortUploads(ctx context.Context, dead []string) error {
	r, ok := l.Store.(storage.Reclaimer)
	if !ok {
		return nil
	}
	for _, id := range dead {
		if _, err := catalog.ParseID(id); err != nil {
			continue // whoever writes the lease can write anything
		}
		if _, err := r.RemoveAbandoned(ctx, catalog.Path(l.Instance, id, "")+"/", 0); err != nil {
			return err
		}
	}
	return nil
}
