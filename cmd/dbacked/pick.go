package main

import (
	"fmt"
	"strings"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
)

// pick finds a backup by its id or how that begins; the newest when id is empty.
func pick(entries []catalog.Entry, id string, c *config.Config) (catalog.Entry, error) {
	if len(entries) == 0 {
		return catalog.Entry{}, fmt.Errorf("%w of %s in %s", catalog.ErrNoBackup, c.Instance, c.Storage)
	}
	if id == "" {
		return entries[0], nil
	}
	var found []catalog.Entry
	for _, e := range entries {
		if e.ID == id {
			return e, nil
		}
		if strings.HasPrefix(e.ID, id) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return catalog.Entry{}, fmt.Errorf("%w %s of %s in %s; dbacked list %s shows those that exist", catalog.ErrNoBackup, id, c.Instance, c.Storage, c.Instance)
	case 1:
		return found[0], nil
	}
	return catalog.Entry{}, &usageError{fmt.Errorf("%d backups of %s begin with %s: give more of the id", len(found), c.Instance, id)}
}
