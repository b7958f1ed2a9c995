package dumper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// pgTableRestore is a restore of tables that was planned.
type pgTableRestore struct {
	report *TableReport

	restoring *pgRestoring
	whole     bool // the parts are one archive, with the definitions and all data
	picked    *pgPicked
	options   TableOptions
	rows      map[pgTableName]bool // tables whose rows are restored
	existing  []*pgTarget          // those of them that exist
}

// RestoreTables restores the tables that the patterns name, in one transaction: an
// error means that nothing was changed. A table that exists gets its rows alone;
// for another one, what it needs is made as well. Of the parts, only those are read
// that hold such a table.
//
// Parts that have a Schema and one part with the same source are a dump in one
// stream; nothing is known of its contents.
func (p *Postgres) RestoreTables(ctx context.Context, parts Parts, patterns []string, o TableOptions) (TableReport, error) {
	r, err := p.PlanTables(ctx, parts, patterns, o)
	if err != nil {
		return TableReport{}, err
	}
	defer r.Close()
	return r.Report, r.Run(ctx)
}

// PlanTables says what RestoreTables would do.
func (p *Postgres) PlanTables(ctx context.Context, parts Parts, patterns []string, o TableOptions) (_ *TableRestore, err error) {
	if p.conn.Database == "" {
		return nil, errors.New("no database to restore into: name it with --db-name or DBACKED_DB_NAME")
	}
	plan := &TableRestore{force: o.Force}
	r := &pgTableRestore{report: &plan.Report, whole: parts.whole(), options: o, rows: map[pgTableName]bool{}}
	plan.plan = r
	if !r.whole {
		if err := parts.check(); err != nil {
			return nil, err
		}
	}
	wanted, err := pgPatterns(patterns)
	if err != nil {
		return nil, err
	}
	schema, entries, err := keepHead(ctx, parts.Schema, r.whole)
	if err != nil {
		return nil, fmt.Errorf("reading the definitions: %w", err)
	}
	r.restoring = &pgRestoring{p: p, parts: parts, schema: schema, args: pgRestoreArgs(RestoreOptions{NoOwner: o.NoOwner, NoPrivileges: o.NoPrivileges})}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	chosen, err := wanted.choose(parts.Contents, entries)
	if err != nil {
		return nil, err
	}
	return plan, r.look(ctx, chosen, entries)
}

func (r *pgTableRestore) close() { r.restoring.schema.close() }

// look compares what was chosen with the target.
func (r *pgTableRestore) look(ctx context.Context, chosen []pgTableName, entries []pgarchive.Entry) error {
	db, err := r.restoring.p.connect(ctx, r.restoring.p.conn.Database)
	if err != nil {
		return err
	}
	defer db.close()
	r.restoring.plan, err = r.restoring.p.restoreTool(ctx, r.restoring.schema.archive, db.release)
	if err != nil {
		return err
	}
	r.restoring.plan.server, r.restoring.plan.single = db.release, true
	if err := r.restoring.needPsql(); err != nil {
		return err
	}
	there, err := db.objects(ctx)
	if err != nil {
		return err
	}
	r.picked = newPgPicked(entries, there)
	chosen = r.picked.withPartitions(chosen)
	if err := r.targets(ctx, db, chosen); err != nil {
		return err
	}
	r.picked.complete()
	r.tell(chosen)
	return nil
}

// targets looks at each table in the target, and picks the others to be made.
func (r *pgTableRestore) targets(ctx context.Context, db *pgDB, chosen []pgTableName) error {
	for _, name := range chosen {
		switch {
		case !r.picked.there[pgObject{pgRelation, name.schema, name.table}]:
			if err := r.picked.table(name); err != nil {
				return err
			}
			r.rows[name] = true
			continue
		case r.hasRows(name):
			r.rows[name] = true
		}
		t, err := db.target(ctx, name)
		if err != nil {
			return err
		}
		r.existing = append(r.existing, t)
	}
	return nil
}

// hasRows tells whether the backup may have rows of a table: of one that is cut
// into partitions it has none.
func (r *pgTableRestore) hasRows(name pgTableName) bool {
	if r.whole {
		return r.picked.data[name]
	}
	return slices.ContainsFunc(r.restoring.parts.Contents.Tables, func(t TableContent) bool { return pgTableName{t.Schema, t.Table} == name })
}

// tell says what will be done.
func (r *pgTableRestore) tell(chosen []pgTableName) {
	rows := map[pgTableName]int64{}
	for _, t := range r.restoring.parts.Contents.Tables {
		rows[pgTableName{t.Schema, t.Table}] = t.Rows
	}
	targets := map[pgTableName]*pgTarget{}
	for _, t := range r.existing {
		targets[t.name] = t
	}
	for _, name := range chosen {
		t := TableRestored{Name: name.String(), Rows: -1}
		if n, known := rows[name]; known {
			t.Rows = n
		}
		if there := targets[name]; there != nil {
			t.Exists, t.Filled = true, there.filled && r.rows[name]
		}
		r.report.Tables = append(r.report.Tables, t)
	}
	for _, part := range r.restoring.parts.Data {
		if r.reads(part.Name) {
			r.report.Parts = append(r.report.Parts, part.Name)
		}
	}
	r.report.Made, r.report.LeftOut = r.picked.report(chosen)
}
