package localdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/dbacked/dbacked/pkg/storage"
)

// explain says what was done to which file, why it failed and what to do. The
// path inside err is left out: it may be a hidden file's.
func (s *Store) explain(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%s %s", doing, s.file(name))
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	if advice := s.advice(errno); advice != "" {
		return fmt.Errorf("%s: %w: %s", what, errno, advice)
	}
	return fmt.Errorf("%s: %w", what, errno)
}

func (s *Store) advice(errno syscall.Errno) string {
	switch errno {
	case syscall.ENOSPC:
		return fmt.Sprintf("the disk of %s is full: free space or inodes on it (df -h, df -i), or set DBACKED_STORAGE to a folder on another disk", s.path)
	case syscall.EDQUOT:
		return fmt.Sprintf("the quota on the disk of %s is used up: raise it, or set DBACKED_STORAGE to a folder on another disk", s.path)
	case syscall.EROFS:
		return fmt.Sprintf("the disk of %s is mounted read-only: mount it for writing (the kernel's log may say why it is not), or set DBACKED_STORAGE to a folder on another disk", s.path)
	case syscall.EACCES, syscall.EPERM:
		return fmt.Sprintf("user id %d may not do this in %s: run dbacked as the folder's owner, or give the folder to that user (chown)", os.Geteuid(), s.path)
	case syscall.EIO:
		return fmt.Sprintf("the disk of %s fails: look at the kernel's log (journalctl -k), and set DBACKED_STORAGE to a folder on another disk", s.path)
	case syscall.ENOENT, syscall.ESTALE:
		return fmt.Sprintf("%s, or a folder in it, is not there: mount its disk, make it (mkdir -m 0700), or set DBACKED_STORAGE to the right folder", s.path)
	case syscall.ENOTDIR:
		return "something on that path is a file and not a folder: set DBACKED_STORAGE to another folder, or move that file away"
	}
	return ""
}

// missing tells "there is nothing of that name", which includes that a folder
// of it is a file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// notFound explains err, as storage.ErrNotFound where nothing is there, and
// as a loss of the root where even that is gone.
func (s *Store) notFound(doing, name string, err error) error {
	if !missing(err) {
		return s.explain(doing, name, err)
	}
	if err := s.present(); err != nil {
		return err
	}
	return fmt.Errorf("%s %s: %w", doing, s.file(name), storage.ErrNotFound)
}

// present says whether the path that was opened still leads to the folder that
// was opened. A store whose folder was moved or removed meanwhile goes on
// writing where nobody will look.
func (s *Store) present() error {
	held, err := s.root.Stat(".")
	if err != nil {
		return s.explain("look at", "", err)
	}
	now, err := os.Stat(s.path)
	if err != nil {
		return s.explain("look at", "", err)
	}
	if !os.SameFile(held, now) {
		return fmt.Errorf("look at %s: it is another folder than the one that was opened: was a disk mounted or a folder moved? start again", s.path)
	}
	return nil
}
