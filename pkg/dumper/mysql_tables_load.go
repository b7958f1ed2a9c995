package dumper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// run makes the tables that are missing, then fills those that are there, and last of
// all commits.
func (r *mysqlTableRestore) run(ctx context.Context) error {
	made, err := r.makeTables(ctx)
	if err == nil {
		err = r.fillTables(ctx)
	}
	if err != nil {
		return r.undo(made, err)
	}
	if !r.options.NoPrivileges && len(made) > 0 {
		r.m.regrant(ctx, r.session, r.grants(made), false)
	}
	return nil
}

// makeTables makes tables with their rows and triggers, and says which it made, of
// which none was there before.
func (r *mysqlTableRestore) makeTables(ctx context.Context) (made []string, err error) {
	if len(r.make) == 0 {
		return nil, nil
	}
	s, err := r.m.open(ctx, r.m.conn.Database)
	if err != nil {
		return nil, err
	}
	defer s.close()
	conn, err := s.db.Conn(ctx) // what sets the session holds for one connection
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // what failed on it was said
	exec := func(statements ...string) error {
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}
	if err := exec(slices.Concat(r.header(), []string{r.limits()})...); err != nil {
		return nil, fmt.Errorf("setting the session as the dump does: %w", err)
	}
	for _, name := range r.make {
		if err := exec(r.defined.tables[name]); err != nil {
			return made, fmt.Errorf("making the table %s: %w", name, err)
		}
		made = append(made, name)
	}
	err = r.feedScript(ctx, func(ctx context.Context, w *bufio.Writer) error {
		if _, err := w.WriteString(r.head()); err != nil {
			return err
		}
		return r.writeRows(ctx, r.make, func(string) string { return "" }, w)
	})
	if err != nil {
		return made, err
	}
	for _, t := range r.triggers {
		if err := exec(slices.Concat(t.session, []string{t.create})...); err != nil {
			return made, fmt.Errorf("making the trigger %s: %w", t.name, err)
		}
	}
	return made, nil
}

// limits is the statement that bounds waits for locks.
func (r *mysqlTableRestore) limits() string {
	wait := 50 * time.Second // as the server's own for rows
	if r.m.limits.Lock > 0 {
		wait = r.m.limits.Lock
	}
	return fmt.Sprintf("SET SESSION lock_wait_timeout=%d", max(1, int(wait.Seconds())))
}

// header are the statements that set the session as the dump does. What is for MariaDB
// alone is nothing to others, and nothing is an error.
func (r *mysqlTableRestore) header() []string {
	return slices.DeleteFunc(slices.Clone(r.defined.header), func(set string) bool {
		return strings.HasPrefix(set, "/*M!") && !r.session.server.maria()
	})
}

func (r *mysqlTableRestore) head() string { return strings.Join(r.header(), ";\n") + ";\n" }

// fillTables fills the tables that are there, in one transaction. A client that does
// not come to its end is killed, and the server takes back what it did.
func (r *mysqlTableRestore) fillTables(ctx context.Context) error {
	if len(r.fill) == 0 {
		return nil
	}
	ready := false
	err := r.feedScript(ctx, func(ctx context.Context, w *bufio.Writer) error {
		if _, err := w.WriteString(r.head() + r.begin()); err != nil {
			return err
		}
		if err := r.writeRows(ctx, r.fill, r.mode, w); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		ready = true
		_, err := w.WriteString("COMMIT;\n")
		return err
	})
	switch code := mysqlCode(err); {
	case code == 1242:
		return fmt.Errorf("%w: they came in just now: %w", ErrHasRows, err)
	case err != nil && ready && (code == 0 || code == 2006 || code == 2013): // the server did not say
		return &mysqlInDoubt{err}
	}
	return err
}

// mysqlInDoubt says that the server may or may not have committed.
type mysqlInDoubt struct{ error }

func (e *mysqlInDoubt) Unwrap() error { return e.error }

// mode has what does not fit a table be an error. Where MariaDB would take the values
// of generated columns for one, the table is exactly that of the backup.
func (r *mysqlTableRestore) mode(table string) string {
	if r.lenient[table] {
		return "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO';\n"
	}
	return "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES,ALLOW_INVALID_DATES';\n"
}

// begin opens the transaction, in which nobody else adds rows. Unlike a dump's own
// header it has the server check what is unique: the table may have other indexes than
// the backup's.
func (r *mysqlTableRestore) begin() string {
	var b strings.Builder
	b.WriteString("SET SESSION unique_checks=1, foreign_key_checks=0;\n" +
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSTART TRANSACTION;\n")
	for _, name := range r.fill {
		quoted := quoteMySQLName(name)
		if r.options.Force {
			fmt.Fprintf(&b, "DELETE FROM %s;\n", quoted)
			continue
		}
		// The first holds others off; the second is an error if there is a row.
		fmt.Fprintf(&b, "SELECT 1 FROM %s LIMIT 1 FOR UPDATE;\nSET @dbacked = (SELECT 1 UNION ALL SELECT 1 FROM %s);\n", quoted, quoted)
	}
	return b.String()
}

// writeRows writes the statements that add the rows of some tables, and compares their
// numbers with the backup's.
func (r *mysqlTableRestore) writeRows(ctx context.Context, tables []string, mode func(table string) string, w io.Writer) error {
	for _, part := range r.parts.Data {
		held := r.held(part.Name, tables)
		if len(held) == 0 {
			continue
		}
		err := part.Source(ctx, func(_ context.Context, in io.Reader) error { return r.writePart(in, held, mode, w) })
		if err != nil {
			return fmt.Errorf("restoring the part %s: %w", part.Name, err)
		}
	}
	return nil
}

func (r *mysqlTableRestore) writePart(in io.Reader, tables map[string]bool, mode func(string) string, w io.Writer) error {
	stream, err := newMySQLStream(in)
	if err != nil {
		return err
	}
	rows, err := pickRows(stream, tables, mode, w)
	if err != nil {
		return err
	}
	for name := range tables {
		got := int64(0)
		if held := rows.tables[name]; held != nil {
			got = held.rows
		}
		if got != r.rows[name] {
			return fmt.Errorf("%w: the table %s has %d rows instead of %d", ErrOtherRows, name, got, r.rows[name])
		}
	}
	return nil
}

// pickRows writes the statements of a dump that add rows to some tables to w, and
// nothing else of it: what locks tables or turns their indexes off would commit. Before
// a table comes what mode says, if that is another than before.
func pickRows(dump io.Reader, tables map[string]bool, mode func(table string) string, w io.Writer) (*mysqlRows, error) {
	rows := newMySQLRows()
	both := io.MultiWriter(w, rows)
	now := ""
	to := func(table string) io.Writer {
		if !tables[table] {
			return nil
		}
		if set := mode(table); set != now {
			now = set
			_, _ = io.WriteString(w, set) // what fails once, fails again at once
		}
		return both
	}
	s := newMySQLStatements(dump)
	for {
		head, err := s.next()
		switch {
		case err == io.EOF:
			return rows, nil
		case err != nil:
		case !s.special() && mysqlInsertWord.Match(head):
			err = copyInsert(s, head, to)
		default:
			err = s.copy(io.Discard)
		}
		if err != nil {
			return nil, err
		}
	}
}

// feedScript runs a client on what write writes. It sees the end of that only if write
// came to its end.
func (r *mysqlTableRestore) feedScript(ctx context.Context, write func(context.Context, *bufio.Writer) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w := bufio.NewWriterSize(out, copySize)
		err := write(ctx, w)
		if err == nil {
			err = w.Flush()
		}
		out.CloseWithError(err) // nil is the end of the script
	}()
	err := r.m.feed(ctx, r.session, r.tool, in)
	_ = in.CloseWithError(errors.Join(errors.New("the client has ended"), err))
	cancel(err)
	<-ended
	return err
}

// undo drops the tables that were made, and says that nothing was changed.
func (r *mysqlTableRestore) undo(made []string, cause error) error {
	cause = r.m.explain(cause)
	if _, doubt := errors.AsType[*mysqlInDoubt](cause); doubt {
		return fmt.Errorf("the client failed while the server committed, so that it may have done so or not: look whether the rows are in %s: %w", strings.Join(r.fill, ", "), cause)
	}
	if len(made) == 0 {
		return fmt.Errorf("nothing was changed: %w", cause)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	if err := r.drop(ctx, made); err != nil {
		return fmt.Errorf("the tables %s, made by this restore, are incomplete and could not be dropped (%w); drop them by hand: %w", strings.Join(made, ", "), err, cause)
	}
	return fmt.Errorf("nothing was changed, and what was made was dropped again: %w", cause)
}

func (r *mysqlTableRestore) drop(ctx context.Context, tables []string) error {
	s, err := r.m.open(ctx, r.m.conn.Database)
	if err != nil {
		return err
	}
	defer s.close()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // what failed on it was said
	quoted := make([]string, len(tables))
	for i, name := range tables {
		quoted[i] = quoteMySQLName(name)
	}
	for _, statement := range []string{"SET SESSION foreign_key_checks=0", "DROP TABLE " + strings.Join(quoted, ", ")} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// grants are what the globals say of rights on the tables.
func (r *mysqlTableRestore) grants(tables []string) mysqlGlobals {
	on := map[string]bool{}
	for _, name := range tables {
		on[name] = true
	}
	g := r.globals
	g.Accounts = nil
	for _, a := range r.globals.Accounts {
		var statements []string
		for _, statement := range a.Objects {
			if grant, err := parseMySQLGrant(statement); err == nil && !grant.onRoutine && on[grant.object] {
				statements = append(statements, statement)
			}
		}
		a.Objects = statements
		g.Accounts = append(g.Accounts, a)
	}
	return g
}
