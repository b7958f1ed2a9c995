package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper"
)

// swapper is an engine that can rename databases.
type swapper interface {
	MaySwap(ctx context.Context) error
	Swap(ctx context.Context, made, kept string, force bool) error
}

// restoreBeside restores into a new database, which takes the place of the one
// that is there when all is well. Until then, nothing is done to that one.
func (t *target) restoreBeside(ctx context.Context, d dump) error {
	db, ok := t.db.(swapper)
	if !ok {
		return &refusedError{errors.New("--new-database needs PostgreSQL, where databases can be renamed: restore with --create under another --db-name")}
	}
	state, err := t.db.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at the target: %w", err)
	}
	if err := t.replaceable(state); err != nil {
		return err
	}
	if err := db.MaySwap(ctx); err != nil {
		return err
	}
	beside, kept := t.beside()
	t.show(state)
	t.say("beside    the new database is %s until all is well; then it is renamed, and what is there now is kept as %s", beside.config.Database.Name, kept)
	there, err := beside.db.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at the server: %w", err)
	}
	if err := beside.load(ctx, d, there); err != nil {
		return err
	}
	if err := db.Swap(ctx, beside.config.Database.Name, kept, t.options.Force); err != nil {
		return err
	}
	t.say("renamed   %s is the restored database; what was there before is kept as %s, until: %s", t.config.Database.Name, kept, dumper.DropStatement(kept))
	return nil
}

// replaceable refuses a database whose place no other can take.
func (t *target) replaceable(s dumper.State) error {
	if err := t.sameEngine(s); err != nil {
		return err
	}
	name := t.config.Database.Name
	switch {
	case !s.Exists:
		return &refusedError{fmt.Errorf("there is no database %q whose place the new one could take: --create makes it as it was", name)}
	case s.Sessions > 0 && !t.options.Force:
		return &refusedError{fmt.Errorf("%d sessions are connected to the database %q, which cannot be renamed then: end them, or have them ended with --force; nothing was done", s.Sessions, name)}
	}
	return nil
}

// beside is the new database as a target, and how the old one is called then.
func (t *target) beside() (beside *target, kept string) {
	name, word := t.config.Database.Name, strings.ToLower(rand.Text()[:4])
	c, o := *t.config, *t.options
	c.Database.Name = fitName(name, "_dbacked_"+word)
	o.NewDatabase, o.Create = false, true
	b := *t
	b.config, b.options, b.db = &c, &o, openDatabase(&c, t.logger())
	when := word
	if t.manifest != nil {
		when = t.manifest.Started.UTC().Format("20060102_150405_") + word
	}
	return &b, fitName(name, "_before_"+when)
}

// fitName is a name with an ending, as long as the names of databases may be.
func fitName(name, ending string) string {
	const most = 63
	return strings.ToValidUTF8(name[:min(len(name), most-len(ending))], "") + ending
}
