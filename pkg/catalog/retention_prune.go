package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Result is what became of a backup that was to be removed.
type Result string

// The results.
const (
	ResultRemoved Result = "removed"
	// ResultLocked says that the store does not let the manifest go. Nothing of
	// that backup was touched: it is as good as before.
	ResultLocked Result = "locked, left"
	// ResultFilesLeft says that the backup is no more, but that the store does
	// not let its files go.
	ResultFilesLeft Result = "removed, files left"
)

// Pruned is one removal, carried out or refused by the store.
type Pruned struct {
	ID     string
	Result Result
	Err    error // what the store said, nil if it was removed
}

// Prune removes what a plan says, the oldest first, if [Pruning.Allowed] lets
// it. The caller must have held the instance's lock since before [Survey]; when
// ctx ends, as it does when that lock is lost, nothing more is removed. A locked
// backup is an expected answer and no error. It returns what was done, also
// when it ends with an error.
func Prune(ctx context.Context, store storage.Store, instance string, plan Pruning, force bool) ([]Pruned, error) {
	if err := plan.Allowed(force); err != nil {
		return nil, err
	}
	var done []Pruned
	for _, d := range plan.Removals() {
		if err := context.Cause(ctx); err != nil {
			return done, err
		}
		p, err := prune(ctx, store, instance, d.ID)
		if err != nil {
			return done, fmt.Errorf("removing backup %s of %s: %w", d.ID, instance, err)
		}
		done = append(done, p)
	}
	return done, nil
}

// prune removes one backup. The manifest goes first: what is left when that is
// all that succeeds is no backup, and the next run removes it.
func prune(ctx context.Context, store storage.Store, instance, id string) (Pruned, error) {
	if _, err := ParseID(id); err != nil {
		return Pruned{}, err
	}
	if err := store.Remove(ctx, Path(instance, id, manifestName)); locked(err) {
		return Pruned{id, ResultLocked, err}, nil
	} else if err != nil {
		return Pruned{}, err
	}
	if err := removeFiles(ctx, store, instance, id); locked(err) {
		return Pruned{id, ResultFilesLeft, err}, nil
	} else if err != nil {
		return Pruned{}, fmt.Errorf("its manifest is gone, some of its files are not: %w", err)
	}
	return Pruned{id, ResultRemoved, nil}, nil
}

// locked tells a store that refuses from one that fails.
func locked(err error) bool {
	return errors.Is(err, storage.ErrLocked) || errors.Is(err, fs.ErrPermission)
}
