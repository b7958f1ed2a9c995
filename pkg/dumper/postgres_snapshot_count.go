package dumper

import (
	"context"
	"fmt"
	"strings"
)

// Count counts the rows of a part's tables in the snapshot, once that part was
// dumped, and compares: an ErrIncomplete names a table of which others went by.
// An extension's tables are left out, since it says which of their rows are
// dumped. What was counted, Contents tells.
func (s *Snapshot) Count(ctx context.Context, part Part) error {
	s.mu.Lock()
	held := s.held[part.Name]
	s.mu.Unlock()
	if held == nil {
		return fmt.Errorf("counting the rows of the part %s: it was not dumped", part.Name)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	err := s.count(ctx, held)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("counting the rows of the part %s: %w", part.Name, err)
	}
	return nil
}

func (s *Snapshot) count(ctx context.Context, held *pgHeld) error {
	var tables []pgTable
	for _, t := range s.session.tables {
		if t.hasRows(s.session) && !t.extension && held.tables[pgTableName{t.schema, t.name}] != nil {
			tables = append(tables, t)
		}
	}
	if len(tables) == 0 {
		return nil
	}
	db, err := s.p.connect(ctx, s.p.conn.Database)
	if err != nil {
		return err
	}
	defer db.close()
	// As pg_dump: a policy that hides rows is an error, and not fewer rows.
	begin := "SET row_security = off; SET lock_timeout = " + fmt.Sprint(s.p.limits.Lock.Milliseconds()) +
		"; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '" + strings.ReplaceAll(s.session.id, "'", "''") + "'"
	if _, err := db.PgConn().Exec(ctx, begin).ReadAll(); err != nil {
		return fmt.Errorf("sharing the snapshot: %w", err)
	}
	for _, t := range tables {
		var n int64
		if err := db.QueryRow(ctx, "SELECT count(*) FROM ONLY "+t.ident()).Scan(&n); err != nil {
			return fmt.Errorf("the table %s: %w", t.ident(), s.countFailed(err))
		}
		if err := s.compare(held, t, n); err != nil {
			return err
		}
	}
	return nil
}

// countFailed names what a failure means for the run, as explain does for a dump.
func (s *Snapshot) countFailed(err error) error {
	switch pgCode(err) {
	case "55P03":
		err = fmt.Errorf("%w: %w", ErrYield, err)
	case "40001":
		err = fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

func (s *Snapshot) compare(held *pgHeld, t pgTable, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := held.tables[pgTableName{t.schema, t.name}]
	if c.rows != n {
		return fmt.Errorf("%w: the table %s has %d rows in the snapshot, and %d were dumped", ErrIncomplete, t.ident(), n, c.rows)
	}
	c.counted = true
	return nil
}
