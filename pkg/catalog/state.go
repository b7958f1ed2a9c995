package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func stateError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("state folder: %w; run this as the user that makes the backups, or set DBACKED_STATE_DIRECTORY", err)
	}
	return fmt.Errorf("state folder: %w", err)
}

// makeFolder makes a folder and those above it that are missing, durably.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeFolder(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if info, statErr := os.Stat(dir); err != nil && statErr == nil && info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// create writes a small file, durably and whole, if there is none of that path.
func create(path, text string, mode fs.FileMode) error {
	return write(path, text, mode, os.Link)
}

// replace writes a small file, durably and whole.
func replace(path, text string) error {
	return write(path, text, 0o600, os.Rename)
}

func write(path, text string, mode fs.FileMode, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // after a rename there is none
	}()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}
