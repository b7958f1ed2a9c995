package catalog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// pinFile remembers a public key that another names: see [PinnedKey].
const pinFile = "project-key.pem"

// PinnedKey is the public key (PEM) that backups are sealed for where a service names
// it, as it was first seen or accepted: "" if none was. Whoever rules the service
// could name a key of his own, and read the backups that come after.
func PinnedKey(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, pinFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", stateError(err)
	}
	return string(text), nil
}

// PinKey remembers a public key in the place of what was pinned.
func PinKey(dir, key string) error {
	err := makeFolder(dir)
	if err == nil {
		err = replace(filepath.Join(dir, pinFile), key)
	}
	if err != nil {
		return stateError(err)
	}
	return nil
}
