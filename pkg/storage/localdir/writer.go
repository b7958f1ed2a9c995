package localdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Create begins an object in a hidden file.
func (s *Store) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := s.check(ctx, name); err != nil {
		return nil, err
	}
	if _, err := s.root.Lstat(name); err == nil {
		return nil, fmt.Errorf("create %s: %w", s.file(name), storage.ErrExists)
	}
	temp := path.Base(storage.HiddenName(name))
	file, folder, err := s.hidden(name, temp)
	if err != nil {
		return nil, s.explain("create", name, err)
	}
	return &writer{store: s, name: name, temp: temp, file: file, folder: folder}, nil
}

// writer is one object that is being written.
type writer struct {
	store  *Store
	name   string
	temp   string // the hidden file's name in folder
	file   *os.File
	folder *os.File
	parts  coverage

	mu   sync.Mutex // one Commit or Abort at a time
	done bool
}

// WritePart writes one part and starts its way to the disk, so that the sync
// in Commit finds little left to do.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if number < 1 || offset < 0 {
		return fmt.Errorf("write %s: part %d at offset %d is not possible", w.store.file(w.name), number, offset)
	}
	if _, err := w.file.WriteAt(p, offset); err != nil {
		return w.store.explain("write", w.name, err)
	}
	w.parts.add(offset, int64(len(p)))
	writeBack(w.file, offset, int64(len(p)))
	return nil
}

// Commit makes the object durable and visible.
func (w *writer) Commit(ctx context.Context) (storage.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return storage.Object{}, fmt.Errorf("commit %s: it was committed or aborted before", w.store.file(w.name))
	}
	if err := w.settle(ctx); err != nil {
		return storage.Object{}, err
	}
	// The last moment at which a run that has ended can be kept from leaving
	// an object behind.
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	if err := w.publish(); err != nil {
		return storage.Object{}, err
	}
	return w.finish()
}

// settle brings the bytes to the disk.
func (w *writer) settle(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if at, whole := w.parts.whole(); !whole {
		return fmt.Errorf("commit %s: a part is missing at offset %d", w.store.file(w.name), at)
	}
	if err := w.file.Sync(); err != nil {
		return w.store.explain("sync", w.name, err)
	}
	dropCache(w.file)
	return nil
}

// publish gives the hidden file its name, if the name is free.
func (w *writer) publish() error {
	fd, base := int(w.folder.Fd()), path.Base(w.name)
	err := unix.Renameat2(fd, w.temp, fd, base, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// NFS and some FUSE file systems rename only in the old way, but link.
		if err = unix.Linkat(fd, w.temp, fd, base, 0); err == nil {
			_ = unix.Unlinkat(fd, w.temp, 0)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("commit %s: %w", w.store.file(w.name), storage.ErrExists)
	}
	return w.store.explain("commit", w.name, err)
}

// finish makes the new name durable and looks at what is there. If it cannot,
// the name is taken away again: a commit that failed must not be seen.
func (w *writer) finish() (storage.Object, error) {
	err := w.store.syncFolders(folderOf(w.name))
	if err == nil {
		err = w.store.present()
	}
	info, statErr := w.store.root.Lstat(w.name)
	if err = errors.Join(err, statErr); err != nil {
		_ = unix.Unlinkat(int(w.folder.Fd()), path.Base(w.name), 0)
		return storage.Object{}, w.store.explain("commit", w.name, err)
	}
	w.done = true
	w.close()
	return storage.Object{Name: w.name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Abort removes the hidden file. It may be called again, and after Commit.
func (w *writer) Abort(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	err := unix.Unlinkat(int(w.folder.Fd()), w.temp, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w.store.explain("remove the unfinished", w.name, err)
	}
	w.done = true
	w.close()
	w.store.prune(folderOf(w.name))
	return nil
}

func (w *writer) close() {
	// After a sync, close has nothing left that could fail.
	_ = w.file.Close()
	_ = w.folder.Close()
}
