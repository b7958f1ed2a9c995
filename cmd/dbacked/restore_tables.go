package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// tableDatabase is an engine of whose dumps single tables can be restored.
type tableDatabase interface {
	PlanTables(ctx context.Context, parts dumper.Parts, patterns []string, o dumper.TableOptions) (*dumper.TableRestore, error)
}

// checkTables refuses what a restore of single tables does not do.
func (r *restoreCommand) checkTables() error {
	switch {
	case len(r.Table) == 0:
		return nil
	case r.Create:
		return &usageError{errors.New("--table restores into a database that is there, and --create makes one: make an empty one (CREATE DATABASE) and name it with --db-name")}
	case r.NewDatabase:
		return &usageError{errors.New("--new-database puts a whole database in the place of another, and --table restores some tables: choose one of them")}
	case r.RawOutput:
		return &usageError{errors.New("--raw-output writes all of a dump: leave --table out, and choose from it (pg_restore --table, for PostgreSQL)")}
	case r.RawInput:
		return &usageError{errors.New("standard input can be read once, and --table first looks for what the tables need: leave --table out, or restore from the storage")}
	}
	return nil
}

// tableDump is a backup as a restore of single tables reads it.
type tableDump struct {
	parts  dumper.Parts
	stored map[string]int64 // bytes by the name of the part
	seen   *pipeline.Progress
}

// tableDump is the backup of which single tables are restored. Of its files, only
// the list of tables is read.
func (f *backupFiles) tableDump(ctx context.Context) (*tableDump, error) {
	if f.manifest.Version == catalog.LayoutSplit {
		d, err := f.split(ctx, 1)
		if err != nil {
			return nil, err
		}
		return &tableDump{d.parts, d.sizes, d.seen}, nil
	}
	file, err := dumpOf(f.manifest)
	if err != nil {
		return nil, err
	}
	seen := new(pipeline.Progress)
	source := f.source(*file, seen, pipeline.NewMemory(1))
	parts := dumper.WholeDump(source)
	return &tableDump{parts, map[string]int64{parts.Data[0].Name: f.stored(*file)}, seen}, nil
}

// restoreTables plans, shows, asks, and restores.
func (t *target) restoreTables(ctx context.Context, f *backupFiles) error {
	db, ok := t.db.(tableDatabase)
	if !ok {
		return &refusedError{errors.New("single tables cannot be restored into such a database: restore all of it under another --db-name, and copy the table from there")}
	}
	state, err := t.db.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at the target: %w", err)
	}
	if err := t.sameEngine(state); err != nil {
		return err
	}
	if !state.Exists {
		return &refusedError{fmt.Errorf("there is no database %q on the target, and --table restores into one that is there: make it (CREATE DATABASE), or choose another --db-name", t.config.Database.Name)}
	}
	d, err := f.tableDump(ctx)
	if err != nil {
		return err
	}
	o := dumper.TableOptions{NoOwner: t.options.NoOwner, NoPrivileges: t.options.NoPrivileges, Globals: t.globals, Force: t.options.Force}
	var plan *dumper.TableRestore
	err = t.follow(ctx, d.seen, func() (err error) {
		plan, err = db.PlanTables(ctx, d.parts, t.options.Table, o)
		return err
	})
	if err != nil {
		return err
	}
	defer plan.Close()
	return t.loadTables(ctx, plan, d, state)
}

// loadTables shows what is planned, asks, and does it.
func (t *target) loadTables(ctx context.Context, plan *dumper.TableRestore, d *tableDump, state dumper.State) error {
	t.showTables(&plan.Report, state)
	if err := t.mayFill(&plan.Report); err != nil {
		return err
	}
	missing, how, err := t.roles(ctx)
	if err != nil {
		return err
	}
	if err := t.confirmTables(ctx, &plan.Report); err != nil {
		return err
	}
	if err := t.createRoles(ctx, missing, how); err != nil {
		return err
	}
	total := int64(0)
	for _, part := range plan.Report.Parts {
		total += d.stored[part]
	}
	d.seen.Share(total)
	start := time.Now()
	if err := t.follow(ctx, d.seen, func() error { return plan.Run(ctx) }); err != nil {
		return err
	}
	t.say("restored into %s: %s, in %s", t.name(), restoredTables(&plan.Report), duration(time.Since(start)))
	for _, left := range plan.Report.LeftOut {
		t.warn("left out: " + printable(left))
	}
	for _, note := range plan.Report.Notes {
		t.warn(printable(note))
	}
	return nil
}

// showTables says what is about to happen.
func (t *target) showTables(r *dumper.TableReport, s dumper.State) {
	m := t.manifest
	t.say("backup    %s of %s %s (server %s)", m.ID, m.Engine, printable(m.Database), printable(m.ServerVersion))
	t.say("taken     %s, %s", m.Started.Local().Format(time.DateTime), age(m.Started))
	t.say("into      %s (%s %s), %s", t.name(), s.Engine, s.ServerVersion, undone(s.Engine))
	w := tabwriter.NewWriter(t.err, 0, 0, 2, ' ', 0)
	for _, table := range r.Tables {
		rows := ""
		if table.Rows >= 0 {
			rows = countOf(table.Rows, "row")
		}
		fmt.Fprintf(w, "table     %s\t%s\t%s\n", printable(table.Name), rows, t.fate(table))
	}
	_ = w.Flush() // people's lines, as say's
	for _, made := range r.Made {
		t.say("made too  %s", printable(made))
	}
	for _, left := range r.LeftOut {
		t.say("left out  %s", printable(left))
	}
	for _, note := range r.Notes {
		t.say("note      %s", printable(note))
	}
}

// undone is how a restore that fails leaves nothing.
func undone(engine string) string {
	if engine == "postgresql" {
		return "in one transaction"
	}
	return "in one transaction for tables that are there; those that are made are dropped again if it fails"
}

// fate is what happens to a table.
func (t *target) fate(table dumper.TableRestored) string {
	switch {
	case table.Filled && t.options.Force:
		return "HAS ROWS, which are removed first"
	case table.Filled:
		return "HAS ROWS"
	case table.Exists:
		return "is there, gets its rows"
	}
	return "is made"
}

// mayFill refuses tables that have rows.
func (t *target) mayFill(r *dumper.TableReport) error {
	for _, table := range r.Tables {
		if table.Filled && !t.options.Force {
			return &refusedError{fmt.Errorf("the table %s has rows in %s: remove these, have --force remove them in the same transaction, or restore into another --db-name", printable(table.Name), t.config.Database.Name)}
		}
	}
	return nil
}

// confirmTables asks before anything is written; more insistently when rows are
// lost.
func (t *target) confirmTables(ctx context.Context, r *dumper.TableReport) error {
	for _, table := range r.Tables {
		if table.Filled {
			return t.confirm(ctx, dumper.State{Objects: 1})
		}
	}
	return t.confirm(ctx, dumper.State{})
}

// restoredTables says what came back, for people.
func restoredTables(r *dumper.TableReport) string {
	var rows int64
	for _, table := range r.Tables {
		rows += max(0, table.Rows)
	}
	if len(r.Tables) == 1 {
		return countOf(rows, "row") + " of " + printable(r.Tables[0].Name)
	}
	return fmt.Sprintf("%s of %d tables", countOf(rows, "row"), len(r.Tables))
}

func countOf(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
