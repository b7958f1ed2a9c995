package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// RestoreParts restores what the parts of a MySQLSnapshot hold: the tables, then
// their rows, so many parts at once, each by its own client, then the triggers,
// events, routines and views.
//
// As statements that define tables cannot be taken back, every part is read to its
// end first, and the rows of each table are compared with the contents: another
// number is an ErrOtherRows, and nothing was done. What is there otherwise, and
// what a failure leaves behind, is as with Restore.
func (m *MySQL) RestoreParts(ctx context.Context, parts Parts, jobs int, o RestoreOptions) error {
	if m.conn.Database == "" {
		return errors.New("no database to restore into: name it with --db-name or DBACKED_DB_NAME")
	}
	if err := parts.check(); err != nil {
		return err
	}
	r := &mysqlRestoring{m: m, parts: parts, options: o, jobs: max(1, jobs)}
	check := func(_ context.Context, in io.Reader) error { return drained(in) }
	if err := r.each(ctx, check, PartSource.check); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	var err error
	if r.schema, err = readMySQLSchema(ctx, parts.Schema); err != nil {
		return fmt.Errorf("nothing was changed: reading the definitions: %w", err)
	}
	if r.session, err = m.open(ctx, ""); err != nil {
		return err
	}
	defer r.session.close()
	if r.tool, err = m.clientTool(ctx, r.session.server); err != nil {
		return err
	}
	g, err := readMySQLGlobals(o.Globals)
	if err != nil {
		return err
	}
	if err := m.prepare(ctx, r.session, g, o); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return m.undo(r.session, o.Create, err)
	}
	if !o.NoPrivileges {
		m.regrant(ctx, r.session, g, o.Create)
	}
	return nil
}

// mysqlRestoring is a restore of parts that goes on.
type mysqlRestoring struct {
	m       *MySQL
	parts   Parts
	options RestoreOptions
	jobs    int
	session *mysqlSession
	tool    mysqlTool
	schema  [][]byte // dumps: the first comes before the data
}

func (r *mysqlRestoring) load(ctx context.Context) error {
	if err := r.feed(ctx, bytes.NewReader(r.schema[0])); err != nil {
		return fmt.Errorf("making what the data goes into: %w", err)
	}
	if err := r.each(ctx, r.feed, func(part PartSource) Source { return part.Source }); err != nil {
		return err
	}
	for _, dump := range r.schema[1:] {
		if err := r.feed(ctx, bytes.NewReader(dump)); err != nil {
			return fmt.Errorf("making the triggers, routines and views: %w", err)
		}
	}
	return nil
}

// feed runs a client on a dump.
func (r *mysqlRestoring) feed(ctx context.Context, in io.Reader) error {
	stream, err := newMySQLStream(in)
	if err != nil {
		return err
	}
	return r.m.feed(ctx, r.session, r.tool, newMySQLRewriter(stream, r.m.conn.Database, r.options.NoOwner))
}

// drained reads a dump to its end.
func drained(in io.Reader) error {
	stream, err := newMySQLStream(in)
	if err == nil {
		_, err = io.Copy(io.Discard, stream)
	}
	return err
}

// each gives every part to use, so many at once, and compares what went by with
// the contents.
func (r *mysqlRestoring) each(ctx context.Context, use func(context.Context, io.Reader) error, from func(PartSource) Source) error {
	return eachPart(ctx, r.parts.Data, r.jobs, func(ctx context.Context, part PartSource) error {
		return r.read(ctx, part.Name, from(part), use)
	})
}

func (r *mysqlRestoring) read(ctx context.Context, part string, source Source, use func(context.Context, io.Reader) error) error {
	err := source(ctx, func(ctx context.Context, in io.Reader) error {
		rows := newMySQLRows()
		if err := use(ctx, io.TeeReader(in, rows)); err != nil {
			return err
		}
		return r.parts.Contents.compareMySQL(part, rows)
	})
	if err != nil {
		return fmt.Errorf("restoring the part %s: %w", part, err)
	}
	return nil
}

// compareMySQL says how what went by of a part differs from what was backed up.
func (c Contents) compareMySQL(part string, rows *mysqlRows) error {
	known := map[string]bool{}
	for _, t := range c.Tables {
		if t.Part != part {
			continue
		}
		known[t.Table] = true
		got := rows.tables[t.Table]
		switch {
		case got == nil && (t.Rows > 0 || !strings.ContainsAny(t.Table, "\r\n")):
			return fmt.Errorf("%w: the table %s is not in its part %s", ErrOtherRows, t.Table, part)
		case got != nil && got.rows != t.Rows:
			return fmt.Errorf("%w: the table %s has %d rows instead of %d", ErrOtherRows, t.Table, got.rows, t.Rows)
		}
	}
	for name := range rows.tables {
		if !known[name] {
			return fmt.Errorf("%w: the part %s has the table %s, which the list of tables does not have there", ErrOtherRows, part, name)
		}
	}
	return nil
}

// readMySQLSchema reads the definitions, which are several dumps.
func readMySQLSchema(ctx context.Context, source Source) (dumps [][]byte, err error) {
	err = source(ctx, func(_ context.Context, in io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(in, mysqlSchemaSize+1))
		if err != nil {
			return err
		}
		if len(text) > mysqlSchemaSize {
			return fmt.Errorf("they have more than %d MiB", mysqlSchemaSize>>20)
		}
		dumps = bytes.Split(text, []byte(mysqlMarker))
		for _, dump := range dumps {
			if err := drained(bytes.NewReader(dump)); err != nil {
				return err
			}
		}
		return nil
	})
	return dumps, err
}
