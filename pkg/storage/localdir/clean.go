package localdir

import (
	"context"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/dbacked/dbacked/pkg/storage"
)

// RemoveUnfinished removes what runs that were killed left of objects whose
// names begin with prefix, empty folders too, and returns the names of those
// objects, sorted. It
// cannot tell a dead run's file from a live one's: hold the instance's lock.
func (s *Store) RemoveUnfinished(ctx context.Context, prefix string) ([]string, error) {
	files := make(map[string]string) // hidden file to object
	err := s.walk(ctx, prefix, func(_ *os.File, file string) error {
		if name, ok := storage.HiddenObject(file, prefix); ok {
			files[file] = name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for file, name := range files {
		if err := s.root.Remove(file); err != nil && !missing(err) {
			return names, s.explain("remove the unfinished", name, err)
		}
		s.prune(folderOf(file))
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), s.removeEmpty(ctx, path.Dir(prefix))
}

// removeEmpty removes the empty folders below dir: of a run that was killed
// before it had a file in its own.
func (s *Store) removeEmpty(ctx context.Context, dir string) error {
	var folders []string
	err := fs.WalkDir(s.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case missing(err):
			return nil
		case err != nil:
			return s.explain("list", name, err)
		case d.IsDir() && name != "." && path.Base(name)[0] == '.':
			return fs.SkipDir // not dbacked's
		case d.IsDir():
			folders = append(folders, name)
		}
		return context.Cause(ctx)
	})
	for _, name := range slices.Backward(folders) { // the inner ones first
		s.prune(name)
	}
	return err
}
