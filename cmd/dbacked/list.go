package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/storage"
)

type listCommand struct {
	Name string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	JSON bool   `name:"json" help:"Print JSON, one object a backup."`

	config.CommonFlags
	config.StorageFlags
	config.TrustFlags
	fromFlags
}

// Help shows examples.
func (*listCommand) Help() string {
	return `Examples:
  dbacked list shop
  dbacked list shop --json | jq -r .id`
}

func (l *listCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(l.Name, config.Flags{CommonFlags: l.CommonFlags, StorageFlags: l.StorageFlags, TrustFlags: l.TrustFlags}, config.NeedStorage)
	if err != nil {
		return err
	}
	if c, err = c.From(l.From); err != nil {
		return err
	}
	entries, err := a.entriesIn(ctx, c)
	if err != nil {
		return err
	}
	if l.JSON {
		return writeJSON(a.out, entries)
	}
	if len(entries) == 0 {
		a.say("no backups of %s in %s yet: dbacked backup %s", c.Instance, c.Places, c.Instance)
		return nil
	}
	return writeTable(a.out, entries)
}

// placed is a backup and where it is, which is said of several places.
type placed struct {
	catalog.Entry
	places []string
}

// entriesIn lists the backups in all places that answer, the newest first. One
// whose origin is proved in one place and not in another is there twice.
func (a *app) entriesIn(ctx context.Context, c *config.Config) ([]placed, error) {
	var all []placed
	var failed error
	for _, s := range c.Places {
		entries, err := a.entries(ctx, c.At(s))
		if err != nil && len(c.Places) == 1 {
			return nil, err
		}
		if err != nil {
			a.warn(fmt.Sprintf("%s does not answer: %v", s, err))
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s, err))
			continue
		}
		for _, e := range entries {
			i := slices.IndexFunc(all, func(p placed) bool { return p.ID == e.ID && (p.Proof == nil) == (e.Proof == nil) })
			if i < 0 {
				i, all = len(all), append(all, placed{Entry: e})
			}
			if len(c.Places) > 1 {
				all[i].places = append(all[i].places, s.String())
			}
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return strings.Compare(b.ID[:min(len(b.ID), 16)], a.ID[:min(len(a.ID), 16)]) })
	if len(all) > 0 {
		return all, nil // what was not seen was said
	}
	return nil, failed
}

// entries lists the backups of an instance, the newest first.
func (a *app) entries(ctx context.Context, c *config.Config) ([]catalog.Entry, error) {
	store, err := openStore(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	t, err := trust(c)
	if err != nil {
		return nil, err
	}
	return catalog.List(ctx, store, c.Instance, t)
}

// entriesKept is entries for those who read: where a bucket keeps what was removed,
// backups are among them that somebody removed and that are newer than all others,
// which no prune does, and the one that was asked for by its id.
func (a *app) entriesKept(ctx context.Context, c *config.Config, id string) ([]catalog.Entry, error) {
	entries, err := a.entries(ctx, c)
	if err != nil {
		return nil, err
	}
	store, err := openStore(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	t, err := trust(c)
	if err != nil {
		return nil, err
	}
	var newest *catalog.Manifest
	if i := slices.IndexFunc(entries, func(e catalog.Entry) bool { return e.Proof == nil }); i >= 0 {
		newest = entries[i].Manifest
	}
	removed, err := catalog.RemovedAfter(ctx, store, c.Instance, t, newest)
	wanted := func(e catalog.Entry) bool { return strings.HasPrefix(e.ID, id) }
	if err == nil && id != "" && !slices.ContainsFunc(append(removed, entries...), wanted) {
		removed, err = catalog.Removed(ctx, store, c.Instance, t, id)
	}
	if err != nil {
		a.warn("whether newer backups were removed cannot be seen: " + err.Error())
	}
	return append(removed, entries...), nil
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
	if err != nil && !errors.Is(err, storage.ErrForbidden) { // of which entriesKept warns
		a.warn(fmt.Sprintf("whether the manifest of %s was overwritten cannot be seen: %v", e.ID, err))
	}
	return e, nil
}

// listed is a backup as --json prints it.
type listed struct {
	ID       string            `json:"id"`
	Proved   bool              `json:"proved"`           // whether the origin is proved
	Error    string            `json:"error,omitempty"`  // why it is not, or why the manifest cannot be read
	Places   []string          `json:"places,omitempty"` // of several, those that hold it
	Manifest *catalog.Manifest `json:"manifest,omitempty"`

	Displaced string `json:"displaced,omitempty"` // why only an older version of the manifest is good
}

func writeJSON(w io.Writer, entries []placed) error {
	enc := json.NewEncoder(w)
	for _, e := range entries {
		row := listed{ID: e.ID, Proved: e.Proof == nil, Places: e.places, Manifest: e.Manifest}
		if e.Proof != nil {
			row.Error = e.Proof.Error()
		}
		if e.Displaced != nil {
			row.Displaced = e.Displaced.Error()
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(w io.Writer, entries []placed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	where := func(places []string) string {
		if len(places) == 0 {
			return ""
		}
		return "\t" + strings.Join(places, ",")
	}
	head := "BACKUP\tSTARTED\tAGE\tDATABASE\tDUMP\tSTORED\tORIGIN"
	if len(entries) > 0 && len(entries[0].places) > 0 {
		head += "\tIN"
	}
	fmt.Fprintln(t, head)
	for _, e := range entries {
		if e.Manifest == nil {
			fmt.Fprintf(t, "%s\t?\t?\t?\t?\t?\t%v%s\n", e.ID, e.Proof, where(e.places))
			continue
		}
		plain, stored := totals(e.Manifest)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s %s\t%s\t%s\t%s%s\n", e.ID, e.Manifest.Started.Local().Format(time.DateTime),
			age(e.Manifest.Started), e.Manifest.Engine, printable(e.Manifest.Database), size(plain), size(stored), origin(e.Entry), where(e.places))
	}
	return t.Flush()
}

func totals(m *catalog.Manifest) (plain, stored int64) {
	for _, f := range m.Files {
		plain += f.PlainBytes
		stored += f.StoredBytes
	}
	return plain, stored
}

func origin(e catalog.Entry) string {
	if e.Proof == nil && e.Displaced != nil {
		return "proved; " + e.Displaced.Error()
	}
	if e.Proof == nil {
		return "proved"
	}
	return e.Proof.Error()
}
