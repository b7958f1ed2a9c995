package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
)

type listCommand struct {
	Name string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	JSON bool   `name:"json" help:"Print JSON, one object a backup."`

	config.CommonFlags
	config.StorageFlags
	config.TrustFlags
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
	entries, err := a.entries(ctx, c)
	if err != nil {
		return err
	}
	if l.JSON {
		return writeJSON(a.out, entries)
	}
	if len(entries) == 0 {
		a.say("no backups of %s in %s yet: dbacked backup %s", c.Instance, c.Storage, c.Instance)
		return nil
	}
	return writeTable(a.out, entries)
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
	Proved   bool              `json:"proved"`          // whether the origin is proved
	Error    string            `json:"error,omitempty"` // why it is not, or why the manifest cannot be read
	Manifest *catalog.Manifest `json:"manifest,omitempty"`
}

func writeJSON(w io.Writer, entries []catalog.Entry) error {
	enc := json.NewEncoder(w)
	for _, e := range entries {
		row := listed{ID: e.ID, Proved: e.Proof == nil, Manifest: e.Manifest}
		if e.Proof != nil {
			row.Error = e.Proof.Error()
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(w io.Writer, entries []catalog.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BACKUP\tSTARTED\tAGE\tDATABASE\tDUMP\tSTORED\tORIGIN")
	for _, e := range entries {
		if e.Manifest == nil {
			fmt.Fprintf(t, "%s\t?\t?\t?\t?\t?\t%v\n", e.ID, e.Proof)
			continue
		}
		plain, stored := totals(e.Manifest)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s %s\t%s\t%s\t%s\n", e.ID, e.Manifest.Started.Local().Format(time.DateTime),
			age(e.Manifest.Started), e.Manifest.Engine, printable(e.Manifest.Database), size(plain), size(stored), origin(e))
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
	if e.Proof == nil {
		return "proved"
	}
	return e.Proof.Error()
}
