package records

import (
	"context"
	"database/sql"
	"time"
)

// Verdict says what to do with a DONE.
type Verdict int

// What can be said of a DONE.
const (
	DoneNow    Verdict = iota // complete it, then call EndDone or GiveUpDone
	DoneWait                  // another does just that: ask again
	DoneBefore                // the same was done
)

// BeginDone begins to complete a backup, also a lost one. ErrConflict: it is done,
// or being completed, otherwise. ErrLost: it failed, or its files are being removed.
func (s *Store) BeginDone(ctx context.Context, projectID, id, agentID, fingerprint string, now time.Time) (v Verdict, b Backup, err error) {
	err = s.change(ctx, projectID, id, func(t *sql.Tx, _ Project, is Backup) error {
		b = is
		if b.AgentID != agentID {
			return ErrLost
		}
		busy := b.State == StateCompleting && b.completingUntil.After(now)
		switch {
		case b.State == StateFailed, b.State != StateDone && b.Removal.Phase != "":
			return ErrLost
		case (b.State == StateDone || busy) && b.fingerprint != fingerprint:
			return ErrConflict
		case b.State == StateDone:
			v = DoneBefore
			return nil
		case busy:
			v = DoneWait
			return nil
		}
		v = DoneNow
		b.State, b.fingerprint, b.completingUntil = StateCompleting, fingerprint, fromMillis(millis(now.Add(s.options.Completing)))
		_, err := t.ExecContext(ctx, "UPDATE backups SET state = $3, fingerprint = $4, completing_until = $5, lease_until = $6 WHERE project_id = $1 AND id = $2",
			projectID, id, b.State, fingerprint, millis(b.completingUntil), millis(now.Add(s.lease(b))))
		return err
	})
	return v, b, err
}

// EndDone makes a completed backup done: its Size, Hash and PublicKey. The next one
// is due by the schedule after this one began.
func (s *Store) EndDone(ctx context.Context, done Backup, now time.Time) error {
	return s.change(ctx, done.ProjectID, done.ID, func(t *sql.Tx, p Project, b Backup) error {
		switch {
		case b.State == StateDone && b.fingerprint == done.fingerprint:
			return nil
		case b.State != StateCompleting && b.State != StateLost || b.fingerprint != done.fingerprint:
			return ErrConflict // a slow one may be lost by now, and all of it is there
		case b.Removal.Phase != "":
			return ErrLost // it was so slow that its files are being removed
		}
		if _, err := t.ExecContext(ctx, "UPDATE backups SET state = $3, finished = $4, size = $5, hash = $6, public_key = $7, sweep_at = 0 WHERE project_id = $1 AND id = $2",
			b.ProjectID, b.ID, StateDone, millis(now), done.Size, done.Hash, done.PublicKey); err != nil {
			return err
		}
		return s.served(ctx, t, p, b)
	})
}

// served frees the lock, if it is the backup's, and sets when the next is due.
func (s *Store) served(ctx context.Context, t *sql.Tx, p Project, b Backup) error {
	if p.active == b.ID {
		p.active = ""
	}
	if next := s.options.Next(p, b.Started); next.IsZero() || next.After(p.NextDue) {
		p.NextDue = next
	}
	_, err := t.ExecContext(ctx, "UPDATE projects SET active = $2, next_due = $3 WHERE id = $1", p.ID, p.active, millis(p.NextDue))
	return err
}

// GiveUpDone makes a backup what it was before BeginDone: its parts are not all
// there, perhaps not yet.
func (s *Store) GiveUpDone(ctx context.Context, given Backup) error {
	return s.change(ctx, given.ProjectID, given.ID, func(t *sql.Tx, p Project, b Backup) error {
		if b.State != StateCompleting || b.fingerprint != given.fingerprint || !b.completingUntil.Equal(given.completingUntil) {
			return nil // another replica took over
		}
		state := StateLost
		if p.active == b.ID {
			state = StateOpen
		}
		_, err := t.ExecContext(ctx, "UPDATE backups SET state = $3, fingerprint = '', completing_until = 0 WHERE project_id = $1 AND id = $2", b.ProjectID, b.ID, state)
		return err
	})
}

// Fail ends a backup, and frees the lock. After DONE it changes nothing.
func (s *Store) Fail(ctx context.Context, projectID, id, agentID, text string, now time.Time) error {
	return s.change(ctx, projectID, id, func(t *sql.Tx, p Project, b Backup) error {
		if b.AgentID != agentID {
			return ErrLost
		}
		if b.State != StateOpen && b.State != StateLost || b.Removal.Phase != "" {
			return nil
		}
		if _, err := t.ExecContext(ctx, "UPDATE backups SET state = $3, error = $4, finished = $5, sweep_at = $6 WHERE project_id = $1 AND id = $2",
			projectID, id, StateFailed, text, millis(now), millis(now.Add(s.options.SweepFailed))); err != nil || p.active != b.ID {
			return err
		}
		_, err := t.ExecContext(ctx, "UPDATE projects SET active = '' WHERE id = $1", projectID)
		return err
	})
}
