package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"
)

// pgRestoring is a restore of parts that goes on.
type pgRestoring struct {
	p       *Postgres
	parts   Parts
	options RestoreOptions
	plan    pgPlan
	schema  *pgSchema
	args    []string
}

// RestoreParts restores what the parts of a Snapshot hold: what comes before the
// data, then the data, so many parts at once, each streamed from its source, with the
// indexes of the tables that are full, then what else comes after. With o.Create the
// database is made first, and dropped again on an error. Into a database that exists,
// everything goes through one session in a single transaction, one part after the
// other: an error means that nothing was changed.
//
// The rows of each table are counted as they go by; another number than the
// contents say is an ErrOtherRows.
func (p *Postgres) RestoreParts(ctx context.Context, parts Parts, jobs int, o RestoreOptions) error {
	if p.conn.Database == "" {
		return errors.New("no database to restore into: name it with --db-name or DBACKED_DB_NAME")
	}
	if err := parts.check(); err != nil {
		return err
	}
	schema, err := keepSchema(ctx, parts.Schema)
	if err != nil {
		return fmt.Errorf("reading the definitions: %w", err)
	}
	defer schema.close()
	plan, err := p.planRestore(ctx, schema.archive, o)
	if err != nil {
		return err
	}
	r := &pgRestoring{p: p, parts: parts, options: o, plan: plan, schema: schema, args: pgRestoreArgs(o)}
	if !o.Create {
		if err := r.needPsql(); err != nil {
			return err
		}
		if err := r.inOneTransaction(ctx); err != nil {
			return p.failedRestore(ctx, err, o)
		}
		return nil
	}
	if err := p.createDatabase(ctx, schema.archive, o); err != nil {
		return err
	}
	if err := r.atOnce(ctx, max(1, jobs)); err != nil {
		return p.failedRestore(ctx, err, o)
	}
	return p.finishRestore(ctx, schema.archive, o)
}

// with is the arguments of every pg_restore, and more.
func (r *pgRestoring) with(more ...string) []string {
	return append(r.args[:len(r.args):len(r.args)], more...)
}

// atOnce restores into a database that nobody uses yet, by several sessions.
func (r *pgRestoring) atOnce(ctx context.Context, jobs int) error {
	if err := r.p.load(ctx, r.plan, r.schema.reader(), r.with("--section=pre-data")); err != nil {
		return fmt.Errorf("making what the data goes into: %w", err)
	}
	early := r.earlyIndexes(jobs)
	if err := r.fill(ctx, jobs, early); err != nil {
		return err
	}
	return r.complete(ctx, jobs, early)
}

func (r *pgRestoring) fillFrom(ctx context.Context, part PartSource, jobs int) error {
	return r.read(ctx, part, func(ctx context.Context, a *pgArchive) error {
		plan := r.plan
		plan.single = a.whole && plan.holds(a.filling*int64(jobs))
		return r.p.load(ctx, plan, a.afresh(r.schema.tables), r.with("--section=data"))
	})
}

// read gives the archive of a part to use, and compares what went by with the
// contents.
func (r *pgRestoring) read(ctx context.Context, part PartSource, use func(ctx context.Context, a *pgArchive) error) error {
	err := part.Source(ctx, func(ctx context.Context, in io.Reader) error {
		held := newPgHeld(Part{Name: part.Name})
		a, err := openCounted(in, held)
		if err != nil {
			return err
		}
		defer a.close()
		if a.header.Minor != r.schema.archive.header.Minor {
			return fmt.Errorf("%w: another pg_dump (%s) made it than the definitions (%s)", ErrOtherRows, a.header.ToolVersion, r.schema.archive.header.ToolVersion)
		}
		if err := use(ctx, a); err != nil {
			return err
		}
		return r.parts.Contents.compare(part.Name, held)
	})
	if err != nil {
		return fmt.Errorf("restoring the part %s: %w", part.Name, err)
	}
	return nil
}

// inOneTransaction restores into a database that others may use, by one psql.
func (r *pgRestoring) inOneTransaction(ctx context.Context) error {
	r.p.log.Info("the restore goes into a database that exists: in one transaction, and so by one session; several at once are faster, into a database that the restore makes itself (--create with another --db-name, or --new-database)",
		zap.String("database", r.p.conn.Database))
	r.plan.single = true
	return r.p.runScript(ctx, r.plan, func(ctx context.Context, application string, w io.Writer) error {
		write := func(body io.Reader, args []string) error {
			return r.p.writeScript(ctx, r.plan, application, body, args, w)
		}
		var clean []string
		if r.options.Clean {
			clean = pgClean // of the data, they drop large objects
			if err := r.writeDrops(ctx, application, w); err != nil {
				return err
			}
		}
		if err := write(r.schema.reader(), r.with("--section=pre-data")); err != nil {
			return err
		}
		for _, part := range r.parts.Data {
			err := r.read(ctx, part, func(_ context.Context, a *pgArchive) error {
				return write(a.body, r.with(append(clean, "--section=data")...))
			})
			if err != nil {
				return err
			}
		}
		return write(r.schema.reader(), r.with("--section=post-data"))
	})
}

// compare says how what went by of a part differs from what was backed up.
func (c Contents) compare(part string, held *pgHeld) error {
	expected := 0
	for _, t := range c.Tables {
		if t.Part != part {
			continue
		}
		expected++
		name := pgTableName{t.Schema, t.Table}
		switch got := held.tables[name]; {
		case got == nil:
			return fmt.Errorf("%w: the table %s is not in its part %s", ErrOtherRows, name, part)
		case t.Rows >= 0 && got.rows != t.Rows:
			return fmt.Errorf("%w: the table %s has %d rows instead of %d", ErrOtherRows, name, got.rows, t.Rows)
		}
	}
	if expected == len(held.tables) {
		return nil
	}
	known := map[pgTableName]bool{}
	for _, t := range c.Tables {
		known[pgTableName{t.Schema, t.Table}] = t.Part == part
	}
	for name := range held.tables {
		if !known[name] {
			return fmt.Errorf("%w: the part %s has the table %s, which the list of tables does not have there", ErrOtherRows, part, name)
		}
	}
	return nil
}
