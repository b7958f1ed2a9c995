package records

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// States of a backup.
const (
	StateOpen       = "open"
	StateCompleting = "completing"
	StateDone       = "done"
	StateFailed     = "failed"
	StateLost       = "lost"
)

// Backup is one that was given to an agent.
type Backup struct {
	ID, ProjectID, State                     string
	AgentID, AgentVersion, DBType, RequestID string
	Hash, PublicKey, Error                   string
	Due, Started, Finished, LeaseUntil       time.Time
	Size                                     int64
	Progress                                 Progress
	Removal                                  Removal

	asked           bool
	completingUntil time.Time
	fingerprint     string
}

// Progress is how far a backup is.
type Progress struct {
	Stage                   string
	PlainBytes, StoredBytes int64
}

const backupColumns = `b.id, b.project_id, b.state, b.agent_id, b.agent_version, b.db_type, b.request_id, b.hash, b.public_key, b.error,
	b.due, b.started, b.finished, b.lease_until, b.size, b.stage, b.plain_bytes, b.stored_bytes, b.asked, b.completing_until, b.fingerprint,
	b.removal, b.kept, b.deleted, b.deleted_by, b.deleted_why, b.deleted_how, b.sweep_at, b.removed, b.removal_error`

func scanBackup(row scanner) (b Backup, err error) {
	var due, started, finished, lease, completing, deleted, sweep, removed int64
	var asked, kept int
	m := &b.Removal
	err = row.Scan(&b.ID, &b.ProjectID, &b.State, &b.AgentID, &b.AgentVersion, &b.DBType, &b.RequestID, &b.Hash, &b.PublicKey, &b.Error,
		&due, &started, &finished, &lease, &b.Size, &b.Progress.Stage, &b.Progress.PlainBytes, &b.Progress.StoredBytes, &asked, &completing, &b.fingerprint,
		&m.Phase, &kept, &deleted, &m.By, &m.Why, &m.How, &sweep, &removed, &m.Error)
	b.Due, b.Started, b.Finished, b.LeaseUntil, b.completingUntil = fromMillis(due), fromMillis(started), fromMillis(finished), fromMillis(lease), fromMillis(completing)
	b.asked, m.Kept = asked != 0, kept != 0
	m.Deleted, m.SweepAt, m.Removed = fromMillis(deleted), fromMillis(sweep), fromMillis(removed)
	return b, found(err)
}

// Backup finds one.
func (s *Store) Backup(ctx context.Context, projectID, id string) (Backup, error) {
	return scanBackup(s.db.QueryRowContext(ctx, "SELECT "+backupColumns+" FROM backups b WHERE b.project_id = $1 AND b.id = $2", projectID, id))
}

// Backups are those in one of the states, or all, the newest first, up to limit.
func (s *Store) Backups(ctx context.Context, projectID string, states []string, limit int) ([]Backup, error) {
	return s.BackupsAfter(ctx, projectID, states, Place{}, limit)
}

// BackupsAfter are those that Backups lists after one.
func (s *Store) BackupsAfter(ctx context.Context, projectID string, states []string, after Place, limit int) ([]Backup, error) {
	args := []any{projectID, limit}
	where := ""
	if !after.At.IsZero() {
		args = append(args, millis(after.At), after.ID)
		where = " AND (b.started, b.id) < ($3, $4)"
	}
	if len(states) > 0 {
		var places []string
		for _, state := range states {
			args = append(args, state)
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		where += " AND b.state IN (" + strings.Join(places, ", ") + ")"
	}
	return query(ctx, s.db, scanBackup, "SELECT "+backupColumns+" FROM backups b WHERE b.project_id = $1"+where+" ORDER BY b.started DESC, b.id DESC LIMIT $2", args...)
}

// Place is that of one in a list, which goes on after it.
type Place struct {
	At time.Time // began, or happened
	ID string
}

// Active is the backup that holds a project's lock. ErrNotFound: none does.
func (s *Store) Active(ctx context.Context, projectID string) (Backup, error) {
	return scanBackup(s.db.QueryRowContext(ctx, "SELECT "+backupColumns+" FROM projects p JOIN backups b ON b.project_id = p.id AND b.id = p.active WHERE p.id = $1", projectID))
}

// storedNewestFirst are the backups of a project, $1, that are done, $2, and not
// deleted. The newest is the one that was begun last: what it holds is of that time, also
// where another one, lost and late, was done after it.
const storedNewestFirst = "SELECT " + backupColumns + " FROM backups b WHERE b.project_id = $1 AND b.state = $2 AND b.removal = '' ORDER BY b.started DESC, b.id DESC"

// Stored are the backups of a project that are done and were not deleted, the newest
// first, up to limit: what can be restored.
func (s *Store) Stored(ctx context.Context, projectID string, limit int) ([]Backup, error) {
	return query(ctx, s.db, scanBackup, storedNewestFirst+" LIMIT $3", projectID, StateDone, limit)
}

// change reads a project and a backup that nobody else changes, and runs f.
func (s *Store) change(ctx context.Context, projectID, id string, f func(t *sql.Tx, p Project, b Backup) error) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		p, err := s.lockProject(ctx, t, projectID)
		if err != nil {
			return err
		}
		b, err := scanBackup(t.QueryRowContext(ctx, "SELECT "+backupColumns+" FROM backups b WHERE b.project_id = $1 AND b.id = $2", projectID, id))
		if err != nil {
			return err
		}
		return f(t, p, b)
	})
}

// open is change for the agent that holds the backup: an open one, which it keeps
// for another lease. An agent whose lease is over keeps it as long as nobody else
// asked.
func (s *Store) open(ctx context.Context, projectID, id, agentID string, now time.Time, f func(t *sql.Tx, b Backup) error) error {
	return s.change(ctx, projectID, id, func(t *sql.Tx, _ Project, b Backup) error {
		if b.State != StateOpen || b.AgentID != agentID {
			return ErrLost
		}
		if _, err := t.ExecContext(ctx, "UPDATE backups SET lease_until = $3 WHERE project_id = $1 AND id = $2", projectID, id, millis(now.Add(s.lease(b)))); err != nil {
			return err
		}
		return f(t, b)
	})
}

// lease is for how long a backup is its agent's without a word.
func (s *Store) lease(b Backup) time.Duration {
	if b.RequestID == "" {
		return s.options.OldLease
	}
	return s.options.Lease
}

// Heartbeat renews the lease of an open backup, and notes how far it is.
func (s *Store) Heartbeat(ctx context.Context, projectID, id, agentID string, p *Progress, now time.Time) (lease time.Duration, err error) {
	err = s.open(ctx, projectID, id, agentID, now, func(t *sql.Tx, b Backup) error {
		lease = s.lease(b)
		if p == nil {
			return nil
		}
		_, err := t.ExecContext(ctx, "UPDATE backups SET stage = $3, plain_bytes = $4, stored_bytes = $5 WHERE project_id = $1 AND id = $2", projectID, id, p.Stage, p.PlainBytes, p.StoredBytes)
		return err
	})
	return lease, err
}

// MayStore says whether a backup takes parts.
func (s *Store) MayStore(ctx context.Context, projectID, id string) error {
	b, err := s.Backup(ctx, projectID, id)
	if err == nil && b.State != StateOpen {
		err = ErrLost
	}
	return err
}
