package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replace puts a file in its place, whole; what was there comes back if init
// fails.
func (w *wizard) replace(path string, data []byte, mode fs.FileMode) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return os.Chmod(path, mode)
	}
	existed := err == nil
	if err := place(path, data, mode, os.Rename); err != nil {
		return err
	}
	w.undo.add(path, func(context.Context) error {
		if existed {
			return place(path, old, mode, os.Rename)
		}
		return removeEmpty(path)
	})
	return nil
}

// replaceUnlessNew is replace for NAME.env, which only who agreed to it sees
// overwritten.
func (w *wizard) replaceUnlessNew(path string, data []byte) error {
	if w.flags.Force {
		return w.replace(path, data, 0o600)
	}
	err := place(path, data, 0o600, os.Link)
	if errors.Is(err, fs.ErrExist) {
		return &refusedError{fmt.Errorf("%s was made by somebody else meanwhile: it stays", path)}
	}
	if err == nil {
		w.undo.add(path, func(context.Context) error { return removeEmpty(path) })
	}
	return err
}

// place writes a file beside its place, to the disk, and puts it there.
func place(path string, data []byte, mode fs.FileMode, put func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after a rename there is none
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Sync()); err != nil {
		return err
	}
	if err := put(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
