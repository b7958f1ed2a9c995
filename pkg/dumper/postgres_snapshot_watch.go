package dumper

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	pgWatchSlow = time.Second // between two looks at the session and at those who wait for it
	pgWatchFast = 20 * time.Millisecond
)

// pgWatcher looks whether the session of a snapshot lives, and who waits behind
// its locks.
type pgWatcher struct {
	s       *Snapshot
	limit   time.Duration // for a session to wait; 0: for ever
	waiting map[uint32]*pgWait
	blocked atomic.Int64
	quit    chan struct{}
	done    chan struct{}
}

// pgWait is a session that waits for a lock.
type pgWait struct {
	pid      uint32
	mode     string   // of the lock
	table    string   // that it waits for, or ""
	blockers []uint32 // sessions that have the lock, or wait for it before this one
	since    time.Time
	seen     bool
}

func newPgWatcher(s *Snapshot, limit time.Duration) *pgWatcher {
	return &pgWatcher{s: s, limit: limit, waiting: map[uint32]*pgWait{}, quit: make(chan struct{}), done: make(chan struct{})}
}

// run looks until stop, or until there is a reason to end the snapshot.
func (w *pgWatcher) run() {
	defer close(w.done)
	interval := pgWatchSlow
	if w.limit > 0 {
		interval = max(pgWatchFast, min(interval, w.limit/4))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-w.s.ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.look(w.s.ctx); err != nil {
			w.s.cancel(err)
			return
		}
	}
}

func (w *pgWatcher) stop() {
	close(w.quit)
	<-w.done
}

// look asks once. It asks the session itself: that shows whether it lives.
func (w *pgWatcher) look(ctx context.Context) error {
	if limit := w.s.p.limits.Stall; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
		defer cancel()
	}
	all, err := pgWaits(ctx, w.s.session.db)
	if err == nil {
		behind := pgBehind(all, w.s.session.db.PgConn().PID())
		if len(behind) == 0 {
			clear(w.waiting)
			return nil
		}
		var about map[uint32]pgActivity
		if about, err = pgActivities(ctx, w.s.session.db); err == nil {
			return w.note(behind, about)
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if pgCode(err) == "40001" {
		err = fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return &pgAdvice{fmt.Errorf("the session that holds the snapshot ended, and with it the locks: %w", err), "see the server's log for why it ended, then run this again"}
}

// note logs and counts those who wait anew; the error is that one waits for too
// long.
func (w *pgWatcher) note(behind []pgWait, about map[uint32]pgActivity) error {
	for _, known := range w.waiting {
		known.seen = false
	}
	var late *pgWait
	for _, b := range behind {
		a := about[b.pid]
		if a.application == pgApplication {
			continue // a pg_dump, which gives up by itself
		}
		known := w.waiting[b.pid]
		if known == nil || known.table != b.table || known.mode != b.mode {
			known = &b
			known.since = time.Now()
			w.waiting[b.pid] = known
			w.blocked.Add(1)
			w.s.p.log.Warn("another session waits behind the locks of the dump", zap.Uint32("pid", b.pid),
				zap.String("statement", a.statement), zap.String("lock", b.mode), zap.String("table", b.table))
		}
		known.seen = true
		if w.limit > 0 && time.Since(known.since) >= w.limit && late == nil {
			late = known
		}
	}
	for pid, known := range w.waiting {
		if !known.seen {
			delete(w.waiting, pid)
		}
	}
	if late == nil {
		return nil
	}
	a := about[late.pid]
	return fmt.Errorf("%w: %s of the process %d (user %s, application %s) waited %s behind its locks, for the table %s; sessions that wait: %d",
		ErrYield, a.statement, late.pid, a.user, a.application, time.Since(late.since).Round(time.Millisecond), late.table, len(w.waiting))
}

// pgWaits lists the sessions that wait for a lock. All may see that of all others.
func pgWaits(ctx context.Context, db *pgDB) ([]pgWait, error) {
	rows, err := db.Query(ctx, `SELECT l.pid, l.mode, coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), ''), pg_catalog.pg_blocking_pids(l.pid)
		FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_class c ON l.locktype = 'relation' AND c.oid = l.relation
			AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT l.granted AND l.pid IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w pgWait, err error) {
		var pid int32
		var blockers []int32
		err = row.Scan(&pid, &w.mode, &w.table, &blockers)
		w.pid = uint32(pid)
		for _, b := range blockers {
			w.blockers = append(w.blockers, uint32(b))
		}
		return w, err
	})
}

// pgBehind are the sessions that wait for one, or for another that waits for it.
func pgBehind(all []pgWait, pid uint32) []pgWait {
	front := map[uint32]bool{pid: true}
	var behind []pgWait
	for again := true; again; {
		again = false
		all = slices.DeleteFunc(all, func(w pgWait) bool {
			if !slices.ContainsFunc(w.blockers, func(b uint32) bool { return front[b] }) {
				return false
			}
			front[w.pid], again = true, true
			behind = append(behind, w)
			return true
		})
	}
	return behind
}

// pgActivity is what another session does, as far as the role may see it.
type pgActivity struct{ application, user, statement string }

func pgActivities(ctx context.Context, db *pgDB) (map[uint32]pgActivity, error) {
	// Within a transaction the server answers as it did the first time.
	if _, err := db.Exec(ctx, "SELECT pg_catalog.pg_stat_clear_snapshot()"); err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT pid, coalesce(application_name, ''), coalesce(usename::text, ''), coalesce(pg_catalog.left(query, 200), '') FROM pg_catalog.pg_stat_activity`)
	if err != nil {
		return nil, err
	}
	about := map[uint32]pgActivity{}
	var pid int32
	var a pgActivity
	_, err = pgx.ForEachRow(rows, []any{&pid, &a.application, &a.user, &a.statement}, func() error {
		about[uint32(pid)] = pgActivity{a.application, a.user, pgStatementKind(a.statement)}
		return nil
	})
	return about, err
}

// pgStatementKind is what a statement begins with, and nothing of what it is
// about: "ALTER TABLE", "SELECT".
func pgStatementKind(sql string) string {
	const unknown = "a statement"
	statements := pgStatements(sql)
	for len(statements) > 1 && slices.Contains([]string{"BEGIN", "START", "SET"}, statements[0].word(0)) {
		statements = statements[1:] // several were sent at once
	}
	if len(statements) == 0 {
		return unknown
	}
	s := &statements[0]
	first, second := s.word(0), s.word(1)
	if first == "" || strings.ContainsFunc(first, func(c rune) bool { return c < 'A' || c > 'Z' }) {
		return unknown // as of another role's, which only says that it may not be seen
	}
	if slices.Contains([]string{"ALTER", "CREATE", "DROP", "LOCK", "REFRESH", "TRUNCATE"}, first) &&
		slices.Contains([]string{"TABLE", "INDEX", "UNIQUE", "VIEW", "MATERIALIZED", "SCHEMA", "SEQUENCE", "TRIGGER", "POLICY", "RULE", "TYPE", "EXTENSION"}, second) {
		return first + " " + second
	}
	return first
}
