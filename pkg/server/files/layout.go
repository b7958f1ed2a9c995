package files

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tempDir = ".tmp"
	// tempAge is how old what is unfinished must be to be of a server that is gone.
	tempAge = 24 * time.Hour
	// attempts bounds how often a folder is made again that another one removes.
	attempts = 100
)

func completePath(r Ref) string { return r.String() + "/complete" }

// partName is the name of a part in its file's folder. It holds the MD5, so that one
// rename says both what the part is and that it is there.
func partName(number int, sum string) string { return fmt.Sprintf("%05d-%s", number, sum) }

func partPath(r Ref, number int, sum string) string { return r.String() + "/" + partName(number, sum) }

// isSum tells an MD5 in hex, as a part's name holds it.
func isSum(text string) bool {
	return len(text) == hex.EncodedLen(md5.Size) && strings.Trim(text, "0123456789abcdef") == ""
}

// prepare makes the folder for what is unfinished, and removes what is old of it.
func (f *Folder) prepare() error {
	if err := f.root.Mkdir(tempDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := fs.ReadDir(f.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && f.options.Now().Sub(info.ModTime()) > tempAge {
			if err := f.root.Remove(tempDir + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// temp opens a new file that nobody sees. discard removes it, unless it was renamed.
func (f *Folder) temp() (file *os.File, name string, discard func(), err error) {
	name = tempDir + "/" + rand.Text()
	file, err = f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", nil, err
	}
	return file, name, func() {
		_ = file.Close()
		_ = f.root.Remove(name)
	}, nil
}

// lock keeps all others, in other processes too, from changing a file. Where the
// file's folder is missing it is made, or that is the error.
func (f *Folder) lock(r Ref, create bool) (unlock func(), err error) {
	for range attempts {
		if create {
			if err = f.root.MkdirAll(r.String(), 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		var dir *os.File
		dir, err = f.root.OpenFile(r.String(), os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if errors.Is(err, fs.ErrNotExist) && create {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if err = flock(dir); err != nil {
			_ = dir.Close()
			return nil, err
		}
		if f.still(r, dir) {
			return func() { _ = dir.Close() }, nil
		}
		_ = dir.Close()
		err = &fs.PathError{Op: "lock", Path: r.String(), Err: fs.ErrNotExist}
		if !create {
			return nil, err
		}
	}
	return nil, err
}

func flock(dir *os.File) error {
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s: %w", path.Base(dir.Name()), err)
		}
	}
}

// still tells whether dir, which is locked, was not removed before.
func (f *Folder) still(r Ref, dir *os.File) bool {
	there, err := f.root.Lstat(r.String())
	if err != nil {
		return false
	}
	locked, err := dir.Stat()
	return err == nil && os.SameFile(there, locked)
}

// syncFolders makes what is in dir, and dir itself, durable. A folder that has not
// changed costs nothing.
func (f *Folder) syncFolders(dir string) error {
	for {
		d, err := f.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		err = d.Sync()
		_ = d.Close()
		if err != nil || dir == "." {
			return err
		}
		dir = path.Dir(dir)
	}
}

// sweep removes parts that others replaced: all of which drop says so. It is only
// tidying, so that it fails matters to nobody.
func (f *Folder) sweep(r Ref, drop func(name string) bool) {
	entries, err := fs.ReadDir(f.root.FS(), r.String())
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Name() != path.Base(completePath(r)) && drop(e.Name()) {
			_ = f.root.Remove(r.String() + "/" + e.Name())
		}
	}
}
