package localdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/storage"
)

// List returns the objects whose names begin with prefix. It reads only the
// folders that can hold such names. Hidden entries, symbolic links and files
// whose names no object can have are not objects.
func (s *Store) List(ctx context.Context, prefix string) ([]storage.Object, error) {
	var objects []storage.Object
	err := s.walk(ctx, prefix, func(folder *os.File, name string) error {
		if !strings.HasPrefix(name, prefix) || storage.CheckName(name) != nil {
			return nil
		}
		var st unix.Stat_t
		err := unix.Fstatat(int(folder.Fd()), path.Base(name), &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return s.explain("list", name, err)
		}
		objects = append(objects, storage.Object{Name: name, Size: st.Size, Modified: time.Unix(st.Mtim.Unix())})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(objects, func(a, b storage.Object) int { return strings.Compare(a.Name, b.Name) })
	return objects, nil
}

// walk calls visit for every regular file below the folder part of prefix that
// lies on the way to names that begin with prefix.
func (s *Store) walk(ctx context.Context, prefix string, visit func(folder *os.File, name string) error) error {
	dir := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if dir = prefix[:i]; storage.CheckName(dir) != nil {
			return fmt.Errorf("list %s: %q is no beginning of an object's name", s.path, prefix)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := s.walkFolder(ctx, dir, prefix, visit); !missing(err) {
		return err
	}
	return s.present()
}

func (s *Store) walkFolder(ctx context.Context, dir, prefix string, visit func(*os.File, string) error) error {
	folder, err := s.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return s.explain("list", dir, err)
	}
	defer func() { _ = folder.Close() }()
	for {
		entries, err := folder.ReadDir(1024)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return s.explain("list", dir, err)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.walkEntries(ctx, folder, dir, prefix, entries, visit); err != nil {
			return err
		}
	}
}

func (s *Store) walkEntries(ctx context.Context, folder *os.File, dir, prefix string, entries []fs.DirEntry, visit func(*os.File, string) error) error {
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.Type().IsRegular():
			if err := visit(folder, name); err != nil {
				return err
			}
		case e.IsDir() && e.Name()[0] != '.' && onTheWay(name+"/", prefix):
			if err := s.walkFolder(ctx, name, prefix, visit); err != nil && !missing(err) {
				return err
			}
		}
	}
	return nil
}

// onTheWay says whether a folder (with its slash) can hold names that begin
// with prefix.
func onTheWay(folder, prefix string) bool {
	return strings.HasPrefix(folder, prefix) || strings.HasPrefix(prefix, folder)
}
