package records

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"
)

// Ask is what an agent says of itself when it asks for a backup.
type Ask struct {
	AgentID, AgentVersion, DBType string
	// RequestID makes asking repeatable; "" of an agent of 2018.
	RequestID string
	// Now asks for a backup that is not due yet.
	Now bool
}

// Give gives a backup that is due, for the time of lease. ErrNotDue: none is, or
// another agent makes it.
//
// Asking again gets the same backup, as long as that is open: with the same
// RequestID, or, without one, if no part was asked for yet. A RequestID whose backup
// is over gets nothing: its answer was lost, and what asks is late.
func (s *Store) Give(ctx context.Context, projectID string, ask Ask, now time.Time) (b Backup, lease time.Duration, err error) {
	due, err := s.mayBeDue(ctx, projectID, ask, now)
	if err == nil && !due {
		err = ErrNotDue // as nearly always, without a transaction
	}
	if err != nil {
		return b, 0, err
	}
	err = s.tx(ctx, func(t *sql.Tx) error {
		p, err := s.lockProject(ctx, t, projectID)
		if err != nil {
			return err
		}
		b, err = s.give(ctx, t, p, ask, now)
		return err
	})
	return b, s.lease(b), err
}

// mayBeDue reads once, and says whether to look closer.
func (s *Store) mayBeDue(ctx context.Context, projectID string, ask Ask, now time.Time) (bool, error) {
	var due int64
	var active string
	var agent sql.NullString
	var lease sql.NullInt64
	err := s.db.QueryRowContext(ctx, `SELECT p.next_due, p.active, b.agent_id, b.lease_until
		FROM projects p LEFT JOIN backups b ON b.project_id = p.id AND b.id = p.active WHERE p.id = $1`, projectID).
		Scan(&due, &active, &agent, &lease)
	if err != nil {
		return false, found(err)
	}
	if active != "" {
		return agent.String == ask.AgentID || lease.Int64 <= millis(now), nil
	}
	return ask.Now || due != 0 && due <= millis(now), nil
}

func (s *Store) give(ctx context.Context, t *sql.Tx, p Project, ask Ask, now time.Time) (Backup, error) {
	if p.active != "" {
		b, err := scanBackup(t.QueryRowContext(ctx, "SELECT "+backupColumns+" FROM backups b WHERE b.project_id = $1 AND b.id = $2", p.ID, p.active))
		if err != nil {
			return b, err
		}
		switch {
		case b.State == StateOpen && again(b, ask):
			_, err := t.ExecContext(ctx, "UPDATE backups SET lease_until = $3 WHERE project_id = $1 AND id = $2", p.ID, b.ID, millis(now.Add(s.lease(b))))
			return b, err
		case b.State == StateCompleting && b.completingUntil.After(now), b.State == StateOpen && b.LeaseUntil.After(now):
			return b, ErrNotDue
		}
		if _, err := t.ExecContext(ctx, "UPDATE backups SET state = $3, sweep_at = $4 WHERE project_id = $1 AND id = $2", p.ID, b.ID, StateLost, millis(now.Add(s.options.SweepLost))); err != nil {
			return b, err
		}
	}
	if due := !p.NextDue.IsZero() && !p.NextDue.After(now); !due {
		if !ask.Now {
			return Backup{}, ErrNotDue
		}
		p.NextDue = now
	}
	if used, err := s.used(ctx, t, p.ID, ask.RequestID); err != nil || used {
		return Backup{}, errors.Join(err, ErrNotDue)
	}
	return s.insert(ctx, t, p, ask, now)
}

// again says whether an agent that asks has the backup already.
func again(b Backup, ask Ask) bool {
	if ask.RequestID != "" || b.RequestID != "" {
		return ask.RequestID == b.RequestID && ask.AgentID == b.AgentID
	}
	return ask.AgentID == b.AgentID && !b.asked
}

// used says whether a request was answered with a backup before.
func (s *Store) used(ctx context.Context, t *sql.Tx, projectID, requestID string) (bool, error) {
	if requestID == "" {
		return false, nil
	}
	var n int
	err := t.QueryRowContext(ctx, "SELECT count(*) FROM backups WHERE project_id = $1 AND request_id = $2", projectID, requestID).Scan(&n)
	return n > 0, err
}

func (s *Store) insert(ctx context.Context, t *sql.Tx, p Project, ask Ask, now time.Time) (Backup, error) {
	b := Backup{
		ID: newBackupID(now), ProjectID: p.ID, State: StateOpen, Due: p.NextDue, Started: now,
		AgentID: ask.AgentID, AgentVersion: ask.AgentVersion, DBType: ask.DBType, RequestID: ask.RequestID,
	}
	b.LeaseUntil = now.Add(s.lease(b))
	_, err := t.ExecContext(ctx, `INSERT INTO backups (project_id, id, state, agent_id, agent_version, db_type, request_id, asked, due, started, finished,
		lease_until, completing_until, fingerprint, hash, public_key, error, size, files, stage, plain_bytes, stored_bytes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 0, $10, 0, '', '', '', '', 0, 0, '', 0, 0)`,
		b.ProjectID, b.ID, b.State, b.AgentID, b.AgentVersion, b.DBType, b.RequestID, millis(b.Due), millis(b.Started), millis(b.LeaseUntil))
	if err == nil {
		_, err = t.ExecContext(ctx, "UPDATE projects SET active = $2 WHERE id = $1", p.ID, b.ID)
	}
	return b, err
}

// newBackupID looks like the ids of backups elsewhere: 20261122T215643Z-7f3c2a9d01.
func newBackupID(now time.Time) string {
	var random [5]byte
	_, _ = rand.Read(random[:]) // never fails
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(random[:])
}
