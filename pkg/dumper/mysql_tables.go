package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// mysqlTableRestore is a restore of tables that was planned.
type mysqlTableRestore struct {
	m       *MySQL
	report  *TableReport
	parts   Parts
	whole   bool // the parts are one dump, with the definitions and all rows
	options TableOptions
	globals mysqlGlobals
	session *mysqlSession
	tool    mysqlTool
	defined *mysqlDefined
	rows    map[string]int64 // that the backup has of each table

	make     []string        // tables that are made
	fill     []string        // tables that are there
	lenient  map[string]bool // of these, MariaDB's with values for generated columns, which it would take for errors
	triggers []mysqlTrigger
}

// RestoreTables restores the tables that the patterns name: an error means that
// nothing was changed. A table that is there gets its rows alone, all such tables in
// one transaction; others are made, with their indexes, foreign keys and triggers,
// and dropped again if something fails.
//
// Of a dump in parts, those that hold such a table are read to their end, and their
// rows compared with the contents, before anything is changed; a dump in one stream
// is read as a whole for that.
//
// Foreign keys are not checked while rows come back. Rows that do not fit a table
// which is there are an error, whatever the server's sql_mode is.
func (m *MySQL) RestoreTables(ctx context.Context, parts Parts, patterns []string, o TableOptions) (TableReport, error) {
	r, err := m.PlanTables(ctx, parts, patterns, o)
	if err != nil {
		return TableReport{}, err
	}
	defer r.Close()
	return r.Report, r.Run(ctx)
}

// PlanTables says what RestoreTables would do.
func (m *MySQL) PlanTables(ctx context.Context, parts Parts, patterns []string, o TableOptions) (_ *TableRestore, err error) {
	if m.conn.Database == "" {
		return nil, errors.New("no database to restore into: name it with --db-name or DBACKED_DB_NAME")
	}
	wanted, err := mysqlPatterns(patterns)
	if err != nil {
		return nil, err
	}
	plan := &TableRestore{force: o.Force}
	r := &mysqlTableRestore{m: m, report: &plan.Report, parts: parts, whole: parts.whole(), options: o, lenient: map[string]bool{}}
	plan.plan = r
	if !r.whole {
		if err := parts.check(); err != nil {
			return nil, err
		}
	}
	if r.globals, err = readMySQLGlobals(o.Globals); err != nil {
		return nil, err
	}
	if r.session, err = m.open(ctx, m.conn.Database); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx, wanted); err != nil {
		r.close()
		return nil, m.explain(err)
	}
	return plan, nil
}

func (r *mysqlTableRestore) close() { r.session.close() }

// prepare reads what the plan needs of the backup, and looks at the target.
func (r *mysqlTableRestore) prepare(ctx context.Context, wanted mysqlPatternList) (err error) {
	if r.tool, err = r.m.clientTool(ctx, r.session.server); err != nil {
		return err
	}
	r.defined = newMySQLDefined(wanted.match)
	if r.whole {
		err = r.parts.Schema(ctx, func(_ context.Context, in io.Reader) error {
			r.defined = newMySQLDefined(wanted.match) // a source may begin anew
			return r.define(in)
		})
	} else {
		err = r.readSchema(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading the definitions: %w", err)
	}
	r.rows = r.counts()
	chosen, err := wanted.choose(r.rows, r.defined.views)
	if err != nil {
		return err
	}
	if err := r.look(ctx, chosen); err != nil {
		return err
	}
	r.tell(chosen)
	if err := r.filled(ctx); err != nil {
		return err
	}
	return r.checkParts(ctx)
}

// readSchema reads the definitions of a dump in parts, which are several dumps.
func (r *mysqlTableRestore) readSchema(ctx context.Context) error {
	dumps, err := readMySQLSchema(ctx, r.parts.Schema)
	for _, dump := range dumps {
		if err == nil {
			err = r.define(bytes.NewReader(dump))
		}
	}
	return err
}

func (r *mysqlTableRestore) define(in io.Reader) error {
	stream, err := newMySQLStream(in)
	if err != nil {
		return err
	}
	return r.defined.read(newMySQLStatements(newMySQLRewriter(stream, r.m.conn.Database, r.options.NoOwner)))
}

// counts are the rows of each table in the backup.
func (r *mysqlTableRestore) counts() map[string]int64 {
	rows := map[string]int64{}
	for name := range r.defined.names() {
		rows[name] = 0
		if held := r.defined.rows.tables[name]; held != nil {
			rows[name] = held.rows
		}
	}
	for _, t := range r.parts.Contents.Tables {
		rows[t.Table] = t.Rows
	}
	return rows
}

// checkParts reads the parts that are to be read to their end.
func (r *mysqlTableRestore) checkParts(ctx context.Context) error {
	if r.whole {
		return nil // it was read
	}
	for _, part := range r.parts.Data {
		if !slices.Contains(r.report.Parts, part.Name) {
			continue
		}
		err := part.check()(ctx, func(_ context.Context, in io.Reader) error {
			rows := newMySQLRows()
			if err := drained(io.TeeReader(in, rows)); err != nil {
				return err
			}
			return r.parts.Contents.compareMySQL(part.Name, rows)
		})
		if err != nil {
			return fmt.Errorf("nothing was changed: reading the part %s: %w", part.Name, err)
		}
	}
	return nil
}

// tell says what will be done.
func (r *mysqlTableRestore) tell(chosen []string) {
	for _, name := range chosen {
		t := TableRestored{Name: name, Rows: r.rows[name], Exists: slices.Contains(r.fill, name)}
		r.report.Tables = append(r.report.Tables, t)
	}
	for _, part := range r.parts.Data {
		if r.whole || len(r.held(part.Name, chosen)) > 0 {
			r.report.Parts = append(r.report.Parts, part.Name)
		}
	}
}

// held are those of some tables that are in a part.
func (r *mysqlTableRestore) held(part string, tables []string) map[string]bool {
	held := map[string]bool{}
	for _, name := range tables {
		held[name] = r.whole
	}
	for _, t := range r.parts.Contents.Tables {
		if t.Part == part && slices.Contains(tables, t.Table) {
			held[t.Table] = true
		}
	}
	for name, is := range held {
		if !is {
			delete(held, name)
		}
	}
	return held
}

// mysqlPattern names tables.
type mysqlPattern struct {
	text, plain string
	table       *regexp.Regexp
}

type mysqlPatternList []mysqlPattern

// mysqlPatterns reads patterns: outside quotes, which are " or `, * is any text and ?
// any character. Letters are taken as they are.
func mysqlPatterns(texts []string) (list mysqlPatternList, err error) {
	for _, text := range texts {
		expressions, plain, err := namePattern(text, "\"`", func(c string) string { return c })
		if err != nil {
			return nil, err
		}
		if len(expressions) != 1 || expressions[0] == "" {
			return nil, fmt.Errorf("%q is no table: write its name alone, without a database, in quotes if it holds dots, as in '\"my.table\"'", text)
		}
		p := mysqlPattern{text: text, plain: plain}
		if p.table, err = compileName(text, expressions[0]); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (list mysqlPatternList) match(table string) bool {
	return slices.ContainsFunc(list, func(p mysqlPattern) bool { return p.table.MatchString(table) })
}

// choose finds the tables that the patterns name, each of which must name one.
func (list mysqlPatternList) choose(tables map[string]int64, views map[string]bool) ([]string, error) {
	var chosen []string
	var known []knownName
	for name := range tables {
		known = append(known, knownName{name, name})
		if list.match(name) {
			chosen = append(chosen, name)
		}
	}
	slices.Sort(chosen)
	slices.SortFunc(known, func(a, b knownName) int { return strings.Compare(a.name, b.name) })
	for _, p := range list {
		if slices.ContainsFunc(chosen, p.table.MatchString) {
			continue
		}
		for view := range views {
			if p.table.MatchString(view) {
				return nil, fmt.Errorf("%w: %s is a view, and only tables are restored by themselves", ErrNoTable, view)
			}
		}
		return nil, noTable(p.text, p.plain, known)
	}
	return chosen, nil
}
