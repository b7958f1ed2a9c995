package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
)

type removeCommand struct {
	Name   string `arg:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Backup string `arg:"" help:"The backup's id, or how it begins."`
	Yes    bool   `name:"yes" short:"y" help:"Do not ask."`

	config.CommonFlags
	config.StorageFlags
	config.TrustFlags
	fromFlags
}

// Help shows examples.
func (*removeCommand) Help() string {
	return `Examples:
  dbacked remove shop 20261122T215643Z-7f3c2a`
}

func (r *removeCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(r.Name, config.Flags{CommonFlags: r.CommonFlags, StorageFlags: r.StorageFlags, TrustFlags: r.TrustFlags}, config.NeedStorage|config.NeedLock)
	if err != nil {
		return err
	}
	if err := ownStorage(c, "remove", "lets nobody remove any by a key: dbacked-server backup delete"); err != nil {
		return err
	}
	from, err := c.From(r.From)
	if err != nil {
		return err
	}
	entries, err := a.entriesIn(ctx, from)
	if err != nil {
		return err
	}
	e, err := pick(plainEntries(entries), r.Backup, from)
	if err != nil {
		return err
	}
	if err := r.confirm(ctx, a, e, len(entries) == 1); err != nil {
		return err
	}
	ctx, release, _, err := a.lockFor(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	return a.inEach(ctx, from, func(one *config.Config) error {
		store, err := openStore(one)
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		if err := catalog.Remove(ctx, store, one.Instance, e.ID); err != nil {
			return err
		}
		a.say("removed backup %s of %s", e.ID, one.Instance)
		return nil
	})
}

// plainEntries are backups, each once, wherever they are.
func plainEntries(all []placed) (entries []catalog.Entry) {
	for _, p := range all {
		if len(entries) == 0 || entries[len(entries)-1].ID != p.ID {
			entries = append(entries, p.Entry)
		}
	}
	return entries
}

func (r *removeCommand) confirm(ctx context.Context, a *app, e catalog.Entry, last bool) error {
	if r.Yes {
		return nil
	}
	what := "an unreadable backup"
	if e.Manifest != nil {
		_, stored := totals(e.Manifest)
		what = fmt.Sprintf("%s %s, %s, %s", e.Manifest.Engine, printable(e.Manifest.Database), age(e.Manifest.Started), size(stored))
	}
	if last {
		a.warn("this is the only backup there is")
	}
	ok, err := a.confirm(ctx, fmt.Sprintf("Remove backup %s (%s) for ever?", e.ID, what))
	if errors.Is(err, errNoTerminal) {
		return &refusedError{fmt.Errorf("%w: add -y to remove backup %s", err, e.ID)}
	}
	if err == nil && !ok {
		err = &refusedError{errors.New("nothing was removed")}
	}
	return err
}
