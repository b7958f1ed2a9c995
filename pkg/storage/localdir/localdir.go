// Package localdir keeps objects as files in a folder: the name "mydb/x/0000"
// is the file mydb/x/0000 below the root, mode 0600 in folders of mode 0700.
//
// An object is written to a hidden file in its own folder and renamed when it
// is committed, without ever replacing another file. Commit returns after the
// file, its folder and every folder above it up to the root have reached the
// disk. A run that was killed leaves its hidden files; they are never listed,
// and [Store.RemoveUnfinished] removes them.
//
// No name, and no symbolic link below the root, leads out of the root. Entries
// that begin with a dot are not objects and are left alone, so other things
// (an agent's state) may lie beside them.
//
// Errors name the file and say what to do; syscall errors stay visible to
// errors.Is (syscall.ENOSPC, fs.ErrPermission and so on).
package localdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Store is a storage.Store and a storage.Cleaner over one folder.
type Store struct {
	path string
	root *os.Root
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Cleaner = (*Store)(nil)
)

// Open opens a folder that exists. It makes none: where the disk of a store is
// not mounted, a new folder would fill the disk below. See [Make].
func Open(root string) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("storage folder %s: %w", root, err)
	}
	s := &Store{path: abs}
	if s.root, err = os.OpenRoot(abs); err != nil {
		return nil, s.explain("open the storage folder", "", err)
	}
	return s, nil
}

// Make makes the folder root and those above it that are missing (mode 0700),
// durably. A folder that exists is left as it is.
func Make(root string) error {
	abs, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("storage folder %s: %w", root, err)
	}
	if err := makeFolder(abs); err != nil {
		return (&Store{path: abs}).explain("make the storage folder", "", err)
	}
	return nil
}

func makeFolder(abs string) error {
	err := os.Mkdir(abs, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(abs) != abs {
		if err := makeFolder(filepath.Dir(abs)); err != nil {
			return err
		}
		err = os.Mkdir(abs, 0o700)
	}
	if info, statErr := os.Stat(abs); err != nil && statErr == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(abs))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	return parent.Sync()
}

// Close lets go of the folder. Objects that are open stay usable.
func (s *Store) Close() error { return s.root.Close() }

// String is the folder's address: file:///var/lib/dbacked.
func (s *Store) String() string { return "file://" + s.path }

// Put writes a small object if there is none of that name.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		err = w.WritePart(ctx, 1, 0, data)
	}
	if err == nil {
		_, err = w.Commit(ctx)
	}
	if err != nil {
		return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return nil
}

// Open reads an object from offset. Reads fail once ctx has ended.
func (s *Store) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := s.check(ctx, name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("read %s: offset %d is negative", s.file(name), offset)
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, s.notFound("read", name, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("read %s: it is not a regular file (%w)", s.file(name), storage.ErrNotFound)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, s.explain("read", name, err)
	}
	readAhead(f)
	return &reader{ctx: ctx, store: s, name: name, file: f}, nil
}

// Remove removes an object, and the folders below the top ones that this
// leaves empty.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.check(ctx, name); err != nil {
		return err
	}
	if info, err := s.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("remove %s: it is not a regular file", s.file(name))
	}
	if err := s.root.Remove(name); err != nil && !missing(err) {
		return s.explain("remove", name, err)
	}
	if err := s.syncFolders(folderOf(name)); err != nil && !missing(err) {
		return s.explain("remove", name, err)
	}
	s.prune(folderOf(name))
	return nil
}

// check refuses a name that leads out of the root and a context that ended.
func (s *Store) check(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return storage.CheckName(name)
}

func (s *Store) file(name string) string { return filepath.Join(s.path, name) }

// reader ends with its context.
type reader struct {
	ctx   context.Context
	store *Store
	name  string
	file  *os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.store.explain("read", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.file.Close() }
