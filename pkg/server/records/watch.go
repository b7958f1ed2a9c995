package records

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ErrTurn says that another replica looks after alerts by now.
var ErrTurn = errors.New("another replica took the turn")

// Turn is a replica's turn to look after alerts, or to prune. What it opens and closes counts
// only until the next turn begins: a replica that was slow knows old facts.
type Turn struct {
	number int64
	// Since is when the service was there again after a pause; zero if there was
	// none. Before it, nobody could hear an agent.
	Since time.Time
}

// pause is how long nobody took a turn when the service was away.
const pause = 10 * time.Minute

// What turns are taken for: rows of watch.
const (
	ofAlerts  = 1
	ofPruning = 2
)

// TakeTurn takes the turn to look after alerts, unless one began less than half of
// every ago.
func (s *Store) TakeTurn(ctx context.Context, every time.Duration, now time.Time) (turn Turn, ok bool, err error) {
	return s.takeTurn(ctx, ofAlerts, every, now)
}

// TakePruning takes the turn to look for what is to be deleted and removed. It only
// saves work: each of that is done once whoever looks.
func (s *Store) TakePruning(ctx context.Context, every time.Duration, now time.Time) (turn Turn, ok bool, err error) {
	return s.takeTurn(ctx, ofPruning, every, now)
}

func (s *Store) takeTurn(ctx context.Context, of int, every time.Duration, now time.Time) (turn Turn, ok bool, err error) {
	err = s.tx(ctx, func(t *sql.Tx) error {
		var at, since int64
		if err := t.QueryRowContext(ctx, s.forUpdate("SELECT turn, at, since FROM watch WHERE id = $1"), of).Scan(&turn.number, &at, &since); err != nil {
			return err
		}
		passed := now.Sub(fromMillis(at))
		if at != 0 && passed < every/2 && passed > -every { // a clock far ahead was wrong
			return nil
		}
		ok = true
		turn.number++
		if at != 0 && passed > pause || at == 0 && of == ofPruning { // an upgrade is a pause
			since = millis(now)
		}
		turn.Since = fromMillis(since)
		_, err := t.ExecContext(ctx, "UPDATE watch SET turn = $2, at = $3, since = $4 WHERE id = $1", of, turn.number, millis(now), since)
		return err
	})
	return turn, ok && err == nil, err
}

// inTurn runs f in a transaction, as long as no other turn began.
func (s *Store) inTurn(ctx context.Context, turn Turn, f func(t *sql.Tx) error) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		var number int64
		if err := t.QueryRowContext(ctx, s.forUpdate("SELECT turn FROM watch WHERE id = $1"), ofAlerts).Scan(&number); err != nil {
			return err
		}
		if number != turn.number {
			return ErrTurn
		}
		return f(t)
	})
}

// Known is what is known of a project, as far as one look at all of them tells.
type Known struct {
	Project
	// Served says that an agent has a key that is valid.
	Served bool
	// LastSeen is when an agent asked for a backup; zero if none ever did.
	LastSeen time.Time
	// ActiveStarted and ActiveUntil are of the backup that holds the lock, zero
	// without one: when it began, and until when nobody else gets it.
	ActiveStarted, ActiveUntil time.Time
	// LastEnded is the backup that was done, or failed, last; "" without one.
	LastEnded string
}

// KnownOfAll looks at all projects at once.
func (s *Store) KnownOfAll(ctx context.Context) ([]Known, error) {
	return query(ctx, s.db, func(row scanner) (k Known, err error) {
		var served int
		var seen, started, lease, completing int64
		k.Project, err = scanProject(row, &served, &seen, &started, &lease, &completing, &k.LastEnded)
		k.Served, k.LastSeen = served != 0, fromMillis(seen)
		k.ActiveStarted, k.ActiveUntil = fromMillis(started), fromMillis(max(lease, completing))
		return k, err
	}, "SELECT "+projectColumns+`,
		CASE WHEN EXISTS (SELECT 1 FROM api_keys k WHERE k.project_id = p.id AND k.kind = $1 AND k.revoked = 0) THEN 1 ELSE 0 END,
		COALESCE((SELECT max(a.last_seen) FROM agents a WHERE a.project_id = p.id), 0),
		COALESCE(b.started, 0), COALESCE(b.lease_until, 0), COALESCE(b.completing_until, 0),
		COALESCE((SELECT e.id FROM backups e WHERE e.project_id = p.id AND e.finished > 0 ORDER BY e.finished DESC LIMIT 1), '')
		FROM projects p LEFT JOIN backups b ON b.project_id = p.id AND b.id = p.active`, KeyAgent)
}

// LastDone are the backups of a project that were done last, the newest first.
func (s *Store) LastDone(ctx context.Context, projectID string, limit int) ([]Backup, error) {
	return query(ctx, s.db, scanBackup, "SELECT "+backupColumns+" FROM backups b WHERE b.project_id = $1 AND b.finished > 0 AND b.state = $2 ORDER BY b.finished DESC LIMIT $3",
		projectID, StateDone, limit)
}
