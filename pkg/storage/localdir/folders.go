package localdir

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// folderOf is the folder of an object, "." for the root.
func folderOf(name string) string { return path.Dir(name) }

// attempts bounds how often a folder is made again that another run removes
// each time because it is empty.
const attempts = 100

// hidden opens a new hidden file for name, in name's folder, which it makes
// when it is missing, and that folder.
func (s *Store) hidden(name, temp string) (file, folder *os.File, err error) {
	dir := folderOf(name)
	for range attempts {
		if dir != "." {
			// Where a file is in the way, opening the folder says so better.
			if err = s.root.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, nil, err
			}
		}
		if file, folder, err = s.tryHidden(dir, temp); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, folder, err
		}
		if err := s.present(); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, err
}

func (s *Store) tryHidden(dir, temp string) (file, folder *os.File, err error) {
	if folder, err = s.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0); err != nil {
		return nil, nil, err
	}
	// In that very folder: by its path it could be made in another one, if this
	// was removed and made again meanwhile.
	fd, err := unix.Openat(int(folder.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Openat(int(folder.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	}
	if err != nil {
		_ = folder.Close()
		return nil, nil, &fs.PathError{Op: "open", Path: path.Join(dir, temp), Err: err}
	}
	return os.NewFile(uintptr(fd), path.Join(s.path, dir, temp)), folder, nil
}

// syncFolders makes the entries of dir and of every folder above it durable,
// up to the root. All of them, since another run may have made one of them a
// moment ago; a folder that has not changed costs nothing.
func (s *Store) syncFolders(dir string) error {
	for {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}

func (s *Store) syncFolder(dir string) error {
	f, err := s.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// prune removes dir and the folders above it as far as they are empty. Folders
// at the top stay: somebody may have prepared them, with an owner of their own.
func (s *Store) prune(dir string) {
	for strings.Contains(dir, "/") {
		info, err := s.root.Lstat(dir)
		if err != nil || !info.IsDir() || s.root.Remove(dir) != nil {
			return
		}
		dir = path.Dir(dir)
	}
}
