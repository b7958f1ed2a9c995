package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Entry is one backup in a store.
type Entry struct {
	ID string

	// Manifest is what the backup claims to be; nil if that cannot be read. Its
	// Instance and ID are those of the place where it lies, where its files are
	// to be looked for, even if it claims others ([ErrMisplaced]).
	Manifest *Manifest

	// Proof is nil if the origin of the manifest is proved, else an error that
	// is ErrUnproved. It says nothing yet of the files: their hashes do.
	Proof error

	// Displaced says that the manifest is an older version of its object, since
	// the newest is not proved or was removed; nil if it is the newest.
	Displaced *storage.Displaced
}

// Commit writes the manifest of a backup whose files are all stored: from then
// on the backup exists.
func Commit(ctx context.Context, store storage.Store, m *Manifest, signer *Signer) error {
	data, err := Encode(m, signer)
	if err != nil {
		return err
	}
	return store.Put(ctx, Path(m.Instance, m.ID, manifestName), data)
}

// Load reads one backup's manifest, or says ErrNoBackup.
func Load(ctx context.Context, store storage.Store, instance, id string, trust Trust) (Entry, error) {
	s := shelf{store: store, instance: instance, trust: trust}
	return s.load(ctx, id)
}

// List returns the backups of an instance, the newest first. One whose manifest
// the store cannot read is among them, as ErrGarbage that wraps the store's
// error: it must not hide the others. Those that were removed are not: see
// [RemovedAfter].
func List(ctx context.Context, store storage.Store, instance string, trust Trust) ([]Entry, error) {
	complete, _, err := scan(ctx, store, instance)
	if err != nil {
		return nil, err
	}
	s := shelf{store: store, instance: instance, trust: trust}
	entries := make([]Entry, 0, len(complete))
	for _, id := range complete {
		e, err := s.load(ctx, id)
		if errors.Is(err, ErrNoBackup) {
			continue // removed meanwhile
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err != nil {
			e.Proof = fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Recent returns the manifests of the newest backups whose origin is proved, the
// newest first, at most n. It reads no more manifests than it must.
func Recent(ctx context.Context, store storage.Store, instance string, trust Trust, n int) ([]*Manifest, error) {
	complete, _, err := scan(ctx, store, instance)
	if err != nil {
		return nil, err
	}
	s := shelf{store: store, instance: instance, trust: trust}
	var proved []*Manifest
	for _, id := range complete {
		if len(proved) == n {
			break
		}
		e, err := s.load(ctx, id)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if errors.Is(err, storage.ErrForbidden) {
			return nil, err // or it would look as if there were none
		}
		if err == nil && e.Proof == nil {
			proved = append(proved, e.Manifest)
		}
	}
	return proved, nil
}

// Newest is the id of the newest backup of an instance, "" if there is none.
func Newest(ctx context.Context, store storage.Store, instance string) (string, error) {
	complete, _, err := scan(ctx, store, instance)
	if err != nil || len(complete) == 0 {
		return "", err
	}
	return complete[0], nil
}

// Remove removes a backup: its manifest first, so that what is left when that
// is interrupted is no backup.
func Remove(ctx context.Context, store storage.Store, instance, id string) error {
	if _, err := ParseID(id); err != nil {
		return err
	}
	if err := store.Remove(ctx, Path(instance, id, manifestName)); err != nil {
		return err
	}
	return removeFiles(ctx, store, instance, id)
}

// Complete returns the ids of the backups that have a manifest, the newest first.
func Complete(ctx context.Context, store storage.Store, instance string) ([]string, error) {
	complete, _, err := scan(ctx, store, instance)
	return complete, err
}

// Orphans returns the ids of backups that have files and no manifest, the
// newest first: of runs that were killed, or that go on now.
func Orphans(ctx context.Context, store storage.Store, instance string) ([]string, error) {
	_, orphans, err := scan(ctx, store, instance)
	return orphans, err
}

// RemoveOrphans removes the files of backups that have no manifest, and returns
// their ids. The caller must hold the instance's lock: a backup that is being
// made has none yet.
func RemoveOrphans(ctx context.Context, store storage.Store, instance string) ([]string, error) {
	orphans, err := Orphans(ctx, store, instance)
	if err != nil {
		return nil, err
	}
	for i, id := range orphans {
		if err := removeFiles(ctx, store, instance, id); err != nil {
			return orphans[:i], err
		}
	}
	return orphans, nil
}

// Abandoned returns the ids of the orphans that no live run can own, though other
// machines may write to the store too: those in dead, and those whose newest file
// is older than age, by the store's clock, which the newest object of the
// instance tells; a lease that is held there was written a moment ago. One whose
// manifest the store still keeps, though somebody removed it, is none of them.
func Abandoned(ctx context.Context, store storage.Store, instance string, age time.Duration, dead []string) ([]string, error) {
	all, newest, err := folders(ctx, store, instance)
	var ids []string
	for _, f := range all {
		if !f.complete && (slices.Contains(dead, f.id) || newest.Sub(f.touched) >= age) {
			ids = append(ids, f.id)
		}
	}
	s := shelf{store: store, instance: instance}
	return slices.DeleteFunc(ids, func(id string) bool { return s.buried(ctx, id) }), err
}

// RemoveFiles removes what there is of backups that have no manifest.
func RemoveFiles(ctx context.Context, store storage.Store, instance string, ids []string) error {
	for _, id := range ids {
		if _, err := ParseID(id); err != nil {
			return err
		}
		if err := removeFiles(ctx, store, instance, id); err != nil {
			return err
		}
	}
	return nil
}

func removeFiles(ctx context.Context, store storage.Store, instance, id string) error {
	files, err := store.List(ctx, Path(instance, id, "")+"/")
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := store.Remove(ctx, f.Name); err != nil {
			return err
		}
	}
	return nil
}
