package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// found is a backup's folder in a store.
type found struct {
	id        string
	complete  bool             // it has a manifest
	committed time.Time        // when the manifest was
	touched   time.Time        // when the newest file in it was committed
	sizes     map[string]int64 // of its files
}

// folders returns the backups' folders of an instance, the newest first, and when
// the newest object of the instance, of whatever kind, was committed. Folders that
// are not called like a backup are left alone.
func folders(ctx context.Context, store storage.Store, instance string) (all []found, newest time.Time, err error) {
	objects, err := store.List(ctx, instance+"/")
	if err != nil {
		return nil, newest, err
	}
	for _, o := range objects { // sorted, so that a folder's files follow each other
		if o.Modified.After(newest) {
			newest = o.Modified
		}
		id, file, ok := strings.Cut(strings.TrimPrefix(o.Name, instance+"/"), "/")
		if _, err := ParseID(id); !ok || err != nil {
			continue // control/, and what others keep here
		}
		if len(all) == 0 || all[len(all)-1].id != id {
			all = append(all, found{id: id, sizes: map[string]int64{}})
		}
		f := &all[len(all)-1]
		f.sizes[file] = o.Size
		if file == manifestName {
			f.complete, f.committed = true, o.Modified
		}
		if o.Modified.After(f.touched) {
			f.touched = o.Modified
		}
	}
	slices.SortFunc(all, newestFirst)
	return all, newest, nil
}

// scan returns the ids of an instance with a manifest and those without, each
// the newest first.
func scan(ctx context.Context, store storage.Store, instance string) (complete, orphans []string, err error) {
	all, _, err := folders(ctx, store, instance)
	for _, f := range all {
		if f.complete {
			complete = append(complete, f.id)
		} else {
			orphans = append(orphans, f.id)
		}
	}
	return complete, orphans, err
}

// newestFirst is the one order of backups: that of their ids.
func newestFirst(a, b found) int { return strings.Compare(b.id, a.id) }
