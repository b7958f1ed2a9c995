package rclone

import (
	"context"
	"slices"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// RemoveUnfinished removes what runs that were killed left under prefix, once it is
// as old as Options.OrphanAge: another machine may write there.
func (s *Store) RemoveUnfinished(ctx context.Context, prefix string) ([]string, error) {
	return s.RemoveAbandoned(ctx, prefix, s.options.OrphanAge)
}

// RemoveAbandoned removes the unfinished objects under prefix that were begun more
// than age ago, empty folders too, and returns the objects' names, sorted.
func (s *Store) RemoveAbandoned(ctx context.Context, prefix string, age time.Duration) (names []string, err error) {
	entries, err := s.walk(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, ok := storage.HiddenObject(e.Path, prefix)
		if !ok || age > 0 && !olderThan(e, age) {
			continue
		}
		if err := s.remove(ctx, e.Path); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), s.removeEmpty(ctx, folderOf(prefix+"x"))
}

// olderThan says whether a file is: one whose time the remote does not know is not.
func olderThan(e entry, age time.Duration) bool {
	return e.ModTime.Unix() > 0 && time.Since(e.ModTime) >= age
}

// removeEmpty removes the folders that are empty below one.
func (s *Store) removeEmpty(ctx context.Context, folder string) error {
	t, err := s.ask(ctx)
	if err != nil || !t.folders {
		return err
	}
	// One that is not there, or is being filled, stays as it is.
	_, _ = s.run(ctx, "rmdirs", "--leave-root", "--retries=1", s.target(folder))
	return context.Cause(ctx)
}
