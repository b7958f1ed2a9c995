package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/storage"
)

// kept is what one place holds of an instance. Whoever removes a backup may have
// wanted that, so none of removed is taken unless it is asked for by its id; what
// was written over is never wanted, so seen has it, from an older version.
type kept struct {
	seen    []catalog.Entry // as catalog.List has them
	removed []catalog.Entry // hidden by a removal in a bucket that keeps them; all of the id that was asked for, else those newer than newestGood
	blind   error           // why nobody could look for removed ones
}

// look lists a place: what is seen and, if wonders says so, the removed ones, of
// the id that is asked for and not seen, or that are newer than what is seen.
func (a *app) look(ctx context.Context, c *config.Config, id string, wonders func(seen []catalog.Entry) bool) (kept, error) {
	store, err := openStore(c)
	if err != nil {
		return kept{}, err
	}
	defer func() { _ = store.Close() }()
	t, err := trust(c)
	if err != nil {
		return kept{}, err
	}
	var k kept
	if k.seen, err = catalog.List(ctx, store, c.Instance, t); err != nil {
		return kept{}, err
	}
	begins := func(e catalog.Entry) bool { return strings.HasPrefix(e.ID, id) }
	switch {
	case !wonders(k.seen):
	case id == "":
		k.removed, k.blind = catalog.RemovedAfter(ctx, store, c.Instance, t, newestGood(k.seen))
	case !slices.ContainsFunc(k.seen, begins):
		k.removed, k.blind = catalog.Removed(ctx, store, c.Instance, t, id)
	}
	if k.blind != nil && !errors.Is(k.blind, storage.ErrForbidden) { // that is said only where it matters
		a.warn("whether newer backups were removed cannot be seen: " + k.blind.Error())
	}
	return k, context.Cause(ctx)
}

// always is for those who read backups, and have the right to read older versions.
func always([]catalog.Entry) bool { return true }

// newestGood is the newest manifest whose origin is proved, nil if none is.
func newestGood(entries []catalog.Entry) *catalog.Manifest {
	for _, e := range entries {
		if e.Proof == nil {
			return e.Manifest
		}
	}
	return nil
}

// pick finds the backup of an id, or how it begins; without one the newest that
// nobody removed. command is what is to be done with it.
func (k kept) pick(id string, c *config.Config, command string) (catalog.Entry, error) {
	e, err := pick(k.seen, id, c)
	switch {
	case id == "" && len(k.removed) > 0 && newestGood(k.seen) == nil:
		return catalog.Entry{}, k.nothingElse(c, command)
	case errors.Is(err, catalog.ErrNoBackup) && id != "" && len(k.removed) > 0:
		return pick(k.removed, id, c)
	case errors.Is(err, catalog.ErrNoBackup) && errors.Is(k.blind, storage.ErrForbidden):
		return catalog.Entry{}, fmt.Errorf("%w; with another right one that somebody removed might be found: %w", err, k.blind)
	}
	return e, err
}

// nothingElse is the error of a place in which only removed backups are good.
func (k kept) nothingElse(c *config.Config, command string) error {
	return fmt.Errorf("%w of %s in %s whose origin is proved, but somebody removed %s, which the bucket keeps; this takes the newest of them: dbacked %s %s %s",
		catalog.ErrNoBackup, c.Instance, c.Storage, k.names(), command, c.Instance, k.removed[0].ID)
}

// newerRemoved says that newer backups were removed than the newest that is seen,
// "" if none was.
func (k kept) newerRemoved(c *config.Config, command string) string {
	if len(k.removed) == 0 {
		return ""
	}
	return fmt.Sprintf("somebody removed %s, newer than what is there now, which the bucket keeps; if that was not wanted: dbacked %s %s %s",
		k.names(), command, c.Instance, k.removed[0].ID)
}

// names are the removed backups, and when that was.
func (k kept) names() string {
	const most = 5
	var names []string
	for i, e := range k.removed {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(k.removed)-most))
			break
		}
		names = append(names, fmt.Sprintf("%s (on %s)", e.ID, e.Displaced.Newest.Modified.UTC().Format("2006-01-02 15:04:05Z")))
	}
	return strings.Join(names, ", ")
}

// notSeen is what to say where nothing good is seen and nobody may look further,
// "" elsewhere: a host that may only write is no worse for it.
func (k kept) notSeen() string {
	if newestGood(k.seen) != nil || !errors.Is(k.blind, storage.ErrForbidden) {
		return ""
	}
	return "with another right one that somebody removed might be found: " + k.blind.Error()
}

// sayRemoved warns of what was removed, where something else is taken, or cannot
// be looked for.
func (a *app) sayRemoved(c *config.Config, k kept, command string) {
	for _, text := range []string{k.newerRemoved(c, command), k.notSeen()} {
		if text != "" {
			a.warn(text)
		}
	}
}

// original is a backup as it was at first: whoever holds the host's key may have
// written another manifest over it.
func (a *app) original(ctx context.Context, c *config.Config, e catalog.Entry) (catalog.Entry, error) {
	store, err := openStore(c)
	if err != nil {
		return e, err
	}
	defer func() { _ = store.Close() }()
	t, err := trust(c)
	if err != nil {
		return e, err
	}
	e, err = catalog.Original(ctx, store, c.Instance, t, e)
	if err != nil && !errors.Is(err, storage.ErrForbidden) { // that is said where it matters
		a.warn(fmt.Sprintf("whether the manifest of %s was overwritten cannot be seen: %v", e.ID, err))
	}
	return e, nil
}
