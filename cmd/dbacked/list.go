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
)

type listCommand struct {
	Name   string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Backup string `arg:"" optional:"" help:"With --tables, the backup's id, or how it begins; the newest if it is left out."`
	Tables bool   `name:"tables" help:"List the tables of a backup instead, with their rows. Needs the private key."`
	JSON   bool   `name:"json" help:"Print JSON, one object a backup, or a table."`

	config.CommonFlags
	config.StorageFlags
	config.OpenFlags
	config.TrustFlags
	fromFlags
}

// Help shows examples.
func (*listCommand) Help() string {
	return `With --tables, a backup's tables are listed: their rows, the size of these in the dump, and the part that
holds them. A backup that was made in parallel has such a list; of another one, all of the dump is read and
counted.

Examples:
  dbacked list shop
  dbacked list shop --json | jq -r .id
  dbacked list shop 20261122T215643Z-7f3c2a --tables --private-key-path private.pem`
}

func (l *listCommand) Run(ctx context.Context, a *app) error {
	if err := l.check(); err != nil {
		return err
	}
	c, err := a.load(l.Name, config.Flags{CommonFlags: l.CommonFlags, StorageFlags: l.StorageFlags, OpenFlags: l.OpenFlags, TrustFlags: l.TrustFlags}, l.need())
	if err != nil {
		return err
	}
	if c, err = c.From(l.From); err != nil {
		return err
	}
	old, err := openOld(ctx, c)
	if err != nil {
		return err
	}
	if old != nil {
		defer old.close()
		if l.Tables {
			return &refusedError{errors.New("the former service's backups have no list of their tables: restore one under another --db-name to see them")}
		}
		return old.list(a, l.JSON)
	}
	if l.Tables {
		return l.tables(ctx, a, c)
	}
	var removed []placed
	entries, err := a.placedIn(c, func(one *config.Config) ([]catalog.Entry, error) {
		k, err := a.look(ctx, one, "", func(seen []catalog.Entry) bool { return wonders(one, seen) })
		a.sayRemoved(one, k, "restore")
		removed = join(removed, c, one, k.removed)
		return k.seen, err
	})
	if err != nil {
		return err
	}
	if l.JSON {
		return writeJSON(a.out, append(entries, removed...)) // whoever takes the first takes the newest
	}
	if len(entries) == 0 && len(removed) > 0 {
		return nil // that was said
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

// entriesIn lists the backups in all places that answer.
func (a *app) entriesIn(ctx context.Context, c *config.Config) ([]placed, error) {
	return a.placedIn(c, func(one *config.Config) ([]catalog.Entry, error) { return a.entries(ctx, one) })
}

// placedIn joins what list finds in all places that answer, the newest first. One
// whose origin is proved in one place and not in another is there twice.
func (a *app) placedIn(c *config.Config, list func(one *config.Config) ([]catalog.Entry, error)) ([]placed, error) {
	var all []placed
	var failed error
	for _, s := range c.Places {
		one := c.At(s)
		entries, err := list(one)
		if err != nil && len(c.Places) == 1 {
			return nil, err
		}
		if err != nil {
			a.warn(fmt.Sprintf("%s does not answer: %v", s, err))
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s, err))
			continue
		}
		all = join(all, c, one, entries)
	}
	if len(all) > 0 {
		return all, nil // what was not seen was said
	}
	return nil, failed
}

// join adds what one of several places holds to what others do.
func join(all []placed, c, one *config.Config, entries []catalog.Entry) []placed {
	for _, e := range entries {
		i := slices.IndexFunc(all, func(p placed) bool { return p.ID == e.ID && (p.Proof == nil) == (e.Proof == nil) })
		if i < 0 {
			i, all = len(all), append(all, placed{Entry: e})
		}
		if len(c.Places) > 1 {
			all[i].places = append(all[i].places, one.Storage.String())
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return strings.Compare(b.ID, a.ID) })
	return all
}

// wonders tells whether a list asks what was removed. Who makes the backups may
// only write, perhaps, and knows the newest one: as long as that is there, he need
// not ask.
func wonders(c *config.Config, seen []catalog.Entry) bool {
	own, err := catalog.OwnTrust(c.StateDirectory)
	if err != nil || len(own) == 0 {
		return true
	}
	last, err := catalog.ReadLast(c.StateDirectory)
	good := newestGood(seen)
	return err == nil && last != "" && (good == nil || good.ID < last)
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

// listed is a backup as --json prints it.
type listed struct {
	ID       string            `json:"id"`
	Proved   bool              `json:"proved"`           // whether the origin is proved
	Error    string            `json:"error,omitempty"`  // why it is not, or why the manifest cannot be read
	Places   []string          `json:"places,omitempty"` // of several, those that hold it
	Manifest *catalog.Manifest `json:"manifest,omitempty"`

	Displaced string    `json:"displaced,omitempty"` // why only an older version of the manifest is good
	Removed   time.Time `json:"removed,omitzero"`    // when somebody removed it, from a bucket that keeps it: restore takes it by its id
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
			if e.Displaced.Newest.Removed {
				row.Removed = e.Displaced.Newest.Modified.UTC()
			}
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
