package records

import (
	"context"
	"database/sql"
	"time"
)

// mayWait is when a removal is looked at again that may not be made yet.
const mayWait = time.Hour

// ToSweep are backups whose files are to be looked at now, the one that waits longest
// first, up to limit; those that could not be removed come after the others, so that they
// hold up none. Each is to be claimed.
func (s *Store) ToSweep(ctx context.Context, now time.Time, limit int) ([]Backup, error) {
	return query(ctx, s.db, scanBackup, "SELECT "+backupColumns+" FROM backups b WHERE b.sweep_at > 0 AND b.sweep_at <= $1 ORDER BY CASE WHEN b.removal_error = '' THEN 0 ELSE 1 END, b.sweep_at, b.project_id, b.id LIMIT $2", millis(now), limit)
}

// ClaimSweep gives the removal of a backup's files to one of those who ask, until a
// time. From then on the backup is over: its agent's DONE comes too late. Not ok:
// another has it, or it is not to be removed, or not yet.
//
// since is of the turn: while the service was away, nobody could say DONE.
func (s *Store) ClaimSweep(ctx context.Context, b Backup, until, since, now time.Time) (claimed Backup, ok bool, err error) {
	err = s.change(ctx, b.ProjectID, b.ID, func(t *sql.Tx, p Project, is Backup) error {
		claimed, ok = is, false
		if is.Removal.SweepAt.IsZero() || is.Removal.SweepAt.After(now) {
			return nil // another was here
		}
		next, err := s.mayGo(ctx, t, p, &claimed, since, now)
		if err != nil {
			return err
		}
		if ok = next.IsZero(); ok {
			next = until
		}
		claimed.Removal.SweepAt = fromMillis(millis(next))
		if ok && claimed.Removal.Phase != PhaseRemoved {
			claimed.Removal.Phase = PhaseRemoving
		}
		_, err = t.ExecContext(ctx, "UPDATE backups SET state = $3, removal = $4, sweep_at = $5 WHERE project_id = $1 AND id = $2",
			is.ProjectID, is.ID, claimed.State, claimed.Removal.Phase, millis(next))
		return err
	})
	return claimed, ok && err == nil, err
}

// mayGo says when to look again at a backup whose files may not be removed yet; zero:
// they may.
func (s *Store) mayGo(ctx context.Context, t *sql.Tx, p Project, b *Backup, since, now time.Time) (next time.Time, err error) {
	switch {
	case b.Removal.Phase == PhaseRemoving, b.Removal.Phase == PhaseRemoved:
		return next, nil // it was begun
	case b.Removal.Phase == PhaseDeleted:
		good, err := s.outlived(ctx, t, p, *b, now)
		if err == nil && !good {
			next = now.Add(mayWait)
		}
		return next, err
	case b.State == StateFailed:
		return next, nil
	case b.State == StateLost, b.State == StateCompleting && p.active != b.ID:
		from := b.LeaseUntil
		if since.After(from) {
			from = since
		}
		if over := from.Add(s.options.SweepLost); over.After(now) {
			return over, nil
		}
		if b.completingUntil.After(now) {
			return b.completingUntil, nil
		}
		b.State = StateLost // who completed it is gone
		return next, nil
	}
	return now.Add(mayWait), nil // it is being made
}

// outlived says whether nothing is lost that was to stay: there is another good backup,
// a newer one unless somebody chose, and then none failed since.
func (s *Store) outlived(ctx context.Context, t *sql.Tx, p Project, b Backup, now time.Time) (bool, error) {
	var since time.Time
	switch b.Removal.How {
	case HowLast:
		return true, nil
	case HowRules:
		if good, err := s.lastIsGood(ctx, t, p, now); err != nil || !good {
			return false, err
		}
		since = b.Started
	}
	n, err := s.others(ctx, t, b, since)
	return n > 0, err
}

// RenewSweep goes on with what was claimed, until another time. ErrTurn: another
// replica has it by now.
func (s *Store) RenewSweep(ctx context.Context, b Backup, until time.Time) (Backup, error) {
	err := s.endClaim(ctx, b, "sweep_at = $4", millis(until))
	b.Removal.SweepAt = fromMillis(millis(until))
	return b, err
}

// endClaim changes a backup as long as it is claimed; $4 and on are args.
func (s *Store) endClaim(ctx context.Context, b Backup, set string, args ...any) error {
	err := affected(s.db.ExecContext(ctx, "UPDATE backups SET "+set+" WHERE project_id = $1 AND id = $2 AND sweep_at = $3 AND removal IN ('removing', 'removed')",
		append([]any{b.ProjectID, b.ID, millis(b.Removal.SweepAt)}, args...)...))
	if err == ErrNotFound {
		err = ErrTurn
	}
	return err
}

// PutOffSweep notes why a backup's files could not be removed, and when to try again.
func (s *Store) PutOffSweep(ctx context.Context, b Backup, reason string, next time.Time) error {
	return s.endClaim(ctx, b, "removal_error = $4, sweep_at = $5", reason, millis(next))
}

// Swept notes that a backup's files are removed. Those of one that was not done are
// looked at once more: what was on its way may have come meanwhile.
func (s *Store) Swept(ctx context.Context, b Backup, now time.Time) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		var again time.Time
		first := b.Removal.Phase == PhaseRemoving
		if first && b.State != StateDone {
			again = now.Add(s.options.SweepAgain)
		}
		err := affected(t.ExecContext(ctx, `UPDATE backups SET removal = $4, sweep_at = $5, removal_error = '', removed = CASE WHEN removed = 0 THEN $6 ELSE removed END
			WHERE project_id = $1 AND id = $2 AND sweep_at = $3 AND removal IN ('removing', 'removed')`,
			b.ProjectID, b.ID, millis(b.Removal.SweepAt), PhaseRemoved, millis(again), millis(now)))
		if err == ErrNotFound {
			return ErrTurn
		}
		if err != nil {
			return err
		}
		// Names stay, so that none is given to other bytes.
		if _, err := t.ExecContext(ctx, "DELETE FROM parts WHERE project_id = $1 AND backup_id = $2", b.ProjectID, b.ID); err != nil || !first || b.State != StateDone {
			return err
		}
		return audit(ctx, t, AuditEntry{At: now, Actor: b.Removal.By, Action: "backup-removed", ProjectID: b.ProjectID, Detail: b.ID})
	})
}

// CountStored counts the backups of a project that may have files, now or still to come.
func (s *Store) CountStored(ctx context.Context, projectID string) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM backups WHERE project_id = $1 AND (removal <> $2 OR sweep_at > 0)", projectID, PhaseRemoved).Scan(&n)
	return n, err
}
