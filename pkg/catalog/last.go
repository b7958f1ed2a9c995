package catalog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// lastFile remembers, in the state folder, the newest backup that was seen.
const lastFile = "last-backup"

// ReadLast returns the id of the newest backup that this host has made or
// restored, "" if it remembers none.
func ReadLast(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, lastFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", stateError(err)
	}
	id := strings.TrimSpace(string(text))
	if _, err := ParseID(id); err != nil {
		return "", nil // a damaged note to oneself is none
	}
	return id, nil
}

// WriteLast remembers an id, unless a newer one is remembered. Give
// it only backups whose origin is proved, or were made here.
func WriteLast(dir, id string) error {
	if _, err := ParseID(id); err != nil {
		return err
	}
	last, err := ReadLast(dir)
	if err != nil || (last != "" && last > id) {
		return err
	}
	if err := makeFolder(dir); err != nil {
		return stateError(err)
	}
	if err := replace(filepath.Join(dir, lastFile), id+"\n"); err != nil {
		return stateError(err)
	}
	return nil
}
