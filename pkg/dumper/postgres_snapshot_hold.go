package dumper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	pgSnapshotTries = 20  // to lock the tables before their list changes
	pgLockBatch     = 500 // tables that one statement locks
	pgLockHolders   = 3   // sessions that hold every table's lock at once: this one, the definitions', the data's
)

// pgHolder is the session that holds a snapshot.
type pgHolder struct {
	p      *Postgres
	db     *pgDB
	id     string    // of the snapshot, for those who share it
	tables []pgTable // and sequences
	size   int64     // of all tables and large objects, without indexes
}

// hold locks the tables, then takes the snapshot: in this order, so that nothing
// can be done to a table after the snapshot that would hide its rows from it.
func (h *pgHolder) hold(ctx context.Context) error {
	if err := h.prepare(ctx); err != nil {
		return err
	}
	for range pgSnapshotTries {
		before, err := h.list(ctx, pgAll)
		if err != nil {
			return err
		}
		if err := h.roomForLocks(ctx, before); err != nil {
			return err
		}
		err = h.lock(ctx, before)
		if err == nil {
			h.tables, err = h.list(ctx, pgAll) // the first query: it takes the snapshot
			if err != nil {
				return err
			}
			if pgSameTables(before, h.tables) {
				return h.export(ctx)
			}
		} else if !slices.Contains([]string{"42P01", "3F000", "42809", "40P01"}, pgCode(err)) {
			return err // else a table is gone, or is another kind of thing, or it was a deadlock
		}
		if _, err := h.db.Exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("starting the snapshot over: %w", err)
		}
	}
	return fmt.Errorf("%w: tables are made, dropped or renamed all the time (%d tries)", ErrNotShared, pgSnapshotTries)
}

// prepare sees to it that nothing but its end ends the session.
func (h *pgHolder) prepare(ctx context.Context) error {
	if h.db.release < 906 { // which cannot say who waits for whom
		return fmt.Errorf("%w: the server is older than PostgreSQL 9.6", ErrNotShared)
	}
	var pid uint32
	if err := h.db.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()").Scan(&pid); err != nil {
		return fmt.Errorf("asking for the process of the session: %w", err)
	}
	if pid != h.db.PgConn().PID() {
		return fmt.Errorf("%w: a pooler stands between here and the server, and may give each statement another session; to dump in parts, connect to the server itself", ErrNotShared)
	}
	settings := []string{
		"statement_timeout = 0", "lock_timeout = 0", "idle_in_transaction_session_timeout = 0",
		"tcp_keepalives_idle = 60", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 6",
	}
	if h.db.release >= 1400 {
		settings = append(settings, "idle_session_timeout = 0")
	}
	if h.db.release >= 1700 {
		settings = append(settings, "transaction_timeout = 0")
	}
	// In one go, for servers that are far away.
	if _, err := h.db.PgConn().Exec(ctx, "SET "+strings.Join(settings, "; SET ")).ReadAll(); err != nil {
		return fmt.Errorf("preparing the session that holds the snapshot: %w", err)
	}
	return nil
}

// roomForLocks refuses to fill the server's lock table, which all sessions share.
func (h *pgHolder) roomForLocks(ctx context.Context, tables []pgTable) error {
	var room, wanted int
	err := h.db.QueryRow(ctx, `SELECT pg_catalog.current_setting('max_locks_per_transaction')::int4
		* (pg_catalog.current_setting('max_connections')::int4 + pg_catalog.current_setting('max_prepared_transactions')::int4)`).Scan(&room)
	if err != nil {
		return fmt.Errorf("asking how many locks the server has: %w", err)
	}
	for _, t := range tables {
		if t.kind != "S" {
			wanted += pgLockHolders
		}
	}
	if wanted > room*7/10 {
		return fmt.Errorf("%w: %d tables, each locked by %d sessions at once, would fill the server's table of %d locks; to dump in parts, multiply max_locks_per_transaction by %d and restart the server",
			ErrNotShared, wanted/pgLockHolders, pgLockHolders, room, wanted*10/7/max(room, 1)+1)
	}
	return nil
}

// lock begins the transaction and locks the tables in it, before any query.
func (h *pgHolder) lock(ctx context.Context, tables []pgTable) error {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t pgTable) bool { return t.kind == "S" })
	statements := []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
	if h.p.limits.Lock > 0 {
		statements = append(statements, fmt.Sprintf("SET LOCAL statement_timeout = %d", max(1, h.p.limits.Lock.Milliseconds())))
	}
	for batch := range slices.Chunk(tables, pgLockBatch) {
		names := make([]string, len(batch))
		for i, t := range batch {
			names[i] = "ONLY " + t.ident()
		}
		statements = append(statements, "LOCK TABLE "+strings.Join(names, ", ")+" IN ACCESS SHARE MODE")
	}
	for _, sql := range append(statements, "SET LOCAL statement_timeout = 0") {
		// By the simple protocol: nothing is planned, so nothing takes a snapshot.
		if _, err := h.db.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return h.explainLock(ctx, err)
		}
	}
	return nil
}

func (h *pgHolder) explainLock(ctx context.Context, err error) error {
	err = fmt.Errorf("locking the tables for the snapshot: %w", err)
	switch pgCode(err) {
	case "57014": // by statement_timeout
		return fmt.Errorf("%w: a table was locked for longer than %s: %s: %w", ErrYield, h.p.limits.Lock, h.p.lockHolders(ctx), err)
	case "53200":
		return &pgAdvice{err, "raise max_locks_per_transaction on the server and restart it"}
	}
	return h.p.advise(err)
}

func (h *pgHolder) export(ctx context.Context) error {
	if err := h.db.QueryRow(ctx, "SELECT pg_catalog.pg_export_snapshot()").Scan(&h.id); err != nil {
		if pgCode(err) != "" {
			return fmt.Errorf("%w: the server does not export one: %w", ErrNotShared, err)
		}
		return fmt.Errorf("exporting the snapshot: %w", err)
	}
	return nil
}

// share tries from another session whether the snapshot is known there: behind
// what spreads sessions over several servers it is not.
func (h *pgHolder) share(ctx context.Context) error {
	other, err := h.p.connect(ctx, h.p.conn.Database)
	if err == nil {
		defer other.close()
		_, err = other.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+strings.ReplaceAll(h.id, "'", "''")+"'").ReadAll()
	}
	if err != nil && pgCode(err) != "" && ctx.Err() == nil {
		return fmt.Errorf("%w: a second session does not get it: %w", ErrNotShared, err)
	}
	return err
}

// release ends the transaction; nil says that it had lasted until now.
func (h *pgHolder) release(ctx context.Context) error {
	tag, err := h.db.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		err = errors.New("its transaction had failed")
	}
	if err != nil {
		return fmt.Errorf("%w: the session that holds the snapshot did not last until the end: %w", ErrIncomplete, err)
	}
	return nil
}
