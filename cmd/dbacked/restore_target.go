package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

// target is the database that a backup is restored into.
type target struct {
	*app
	config   *config.Config
	options  *restoreCommand
	manifest *catalog.Manifest // nil for a file that has none
	source   []string          // what such a file is, for people; nil from standard input
	globals  []byte            // nil when the backup has none
	db       database
}

// restore looks at the target, asks, and restores.
func (t *target) restore(ctx context.Context, d dump) error {
	if t.options.NewDatabase {
		return t.restoreBeside(ctx, d)
	}
	state, err := t.db.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at the target: %w", err)
	}
	if err := t.allowed(state); err != nil {
		return err
	}
	t.show(state)
	return t.load(ctx, d, state)
}

// load asks, and restores into a target that is in that state.
func (t *target) load(ctx context.Context, d dump, state dumper.State) error {
	missing, how, err := t.roles(ctx)
	if err != nil {
		return err
	}
	if err := t.confirm(ctx, state); err != nil {
		return err
	}
	options := dumper.RestoreOptions{
		Create: t.options.Create, Globals: t.globals,
		NoOwner: t.options.NoOwner, NoPrivileges: t.options.NoPrivileges, Clean: state.Objects > 0,
	}
	prepare := func(ctx context.Context) error { return t.createRoles(ctx, missing, how) }
	start := time.Now()
	if err := t.follow(ctx, d.progress(), func() error { return d.into(ctx, t, options, prepare) }); err != nil {
		return err
	}
	t.say("restored into %s: %s of dump%s, in %s", t.name(), size(d.progress().Snapshot().Plain), d.holds(), duration(time.Since(start)))
	return nil
}

// allowed refuses a target that the restore cannot or should not go into.
func (t *target) allowed(s dumper.State) error {
	if err := t.sameEngine(s); err != nil {
		return err
	}
	name := t.config.Database.Name
	switch {
	case !s.Exists && !t.options.Create:
		return &refusedError{fmt.Errorf("there is no database %q on the target: --create makes it as it was", name)}
	case s.Exists && t.options.Create:
		return &refusedError{fmt.Errorf("the database %q exists already, and --create is for one that does not: leave --create out, or choose another --db-name", name)}
	case s.Objects > 0 && !t.options.Force:
		return &refusedError{fmt.Errorf("the database %q is not empty (%d objects, such as %s): choose another --db-name, or replace what is there with --force", name, s.Objects, printable(s.Example))}
	}
	return nil
}

func (t *target) sameEngine(s dumper.State) error {
	if m := t.manifest; m != nil && (m.Engine == "postgresql") != (s.Engine == "postgresql") {
		return &refusedError{fmt.Errorf("backup %s is of %s, and the target is %s: choose another target, or another backup", m.ID, m.Engine, s.Engine)}
	}
	return nil
}

// show says what is about to happen.
func (t *target) show(s dumper.State) {
	if m := t.manifest; m != nil {
		plain, stored := totals(m)
		t.say("backup    %s of %s %s (server %s)", m.ID, m.Engine, printable(m.Database), printable(m.ServerVersion))
		t.say("taken     %s, %s", m.Started.Local().Format(time.DateTime), age(m.Started))
		t.say("size      %s of dump, %s stored", size(plain), size(stored))
	} else if t.source == nil {
		t.say("backup    one file from standard input")
	}
	for _, line := range t.source {
		t.say("%s", line)
	}
	what := "empty"
	switch {
	case !s.Exists:
		what = "is created"
	case t.options.NewDatabase:
		what = fmt.Sprintf("%d objects; a new database takes its place", s.Objects)
	case s.Objects > 0:
		what = fmt.Sprintf("NOT EMPTY: %d objects, such as %s; what the backup holds too is replaced", s.Objects, printable(s.Example))
	}
	t.say("into      %s (%s %s), %s", t.name(), s.Engine, s.ServerVersion, what)
	if s.Sessions > 0 {
		t.warn(fmt.Sprintf("%d other sessions are connected to it", s.Sessions))
	}
}

// name is the target as people call it.
func (t *target) name() string {
	d := t.config.Database
	host := net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
	if strings.HasPrefix(d.Host, "/") {
		host = d.Host
	}
	return fmt.Sprintf("%s on %s as %s", d.Name, host, d.Username)
}

// roles finds the roles that the backup needs and the target lacks, and how
// they are to be made: nil when none is missing or none is needed.
func (t *target) roles(ctx context.Context) ([]string, dumper.RoleMode, error) {
	if t.globals == nil || (t.options.NoOwner && t.options.NoPrivileges) {
		return nil, 0, nil
	}
	missing, err := t.db.MissingRoles(ctx, bytes.NewReader(t.globals))
	if err != nil {
		return nil, 0, fmt.Errorf("comparing roles: %w", err)
	}
	if len(missing) == 0 {
		return nil, 0, nil
	}
	t.say("missing   the target lacks these roles: %s", strings.Join(missing, ", "))
	switch {
	case t.options.Globals:
		return missing, dumper.RolesFull, nil
	case t.options.CreateRoles:
		return missing, dumper.RolesNoLogin, nil
	}
	ok, err := false, errNoTerminal
	if !t.options.Yes {
		ok, err = t.app.confirm(ctx, "Create them, without login?")
	}
	if errors.Is(err, errNoTerminal) || (err == nil && !ok) {
		return nil, 0, &refusedError{errors.New("roles are missing: --create-roles makes them without login, --globals as they were, --no-owner --no-privileges does without them")}
	}
	return missing, dumper.RolesNoLogin, err
}

func (t *target) createRoles(ctx context.Context, missing []string, how dumper.RoleMode) error {
	if len(missing) == 0 {
		return nil
	}
	if err := t.db.CreateRoles(ctx, bytes.NewReader(t.globals), missing, how); err != nil {
		return fmt.Errorf("creating the missing roles: %w", err)
	}
	return nil
}

// confirm asks before anything is written; more insistently when something is
// lost.
func (t *target) confirm(ctx context.Context, s dumper.State) error {
	if t.options.Yes {
		return nil
	}
	var ok bool
	var err error
	if s.Objects > 0 {
		var answer string
		answer, err = t.ask(ctx, fmt.Sprintf("Data in %s will be replaced. Type the database's name to go on: ", t.name()))
		ok = answer == t.config.Database.Name
	} else {
		ok, err = t.app.confirm(ctx, "Restore?")
	}
	if errors.Is(err, errNoTerminal) {
		return &refusedError{fmt.Errorf("%w before restoring: add -y", err)}
	}
	if err == nil && !ok {
		err = &refusedError{errors.New("nothing was restored")}
	}
	return err
}
