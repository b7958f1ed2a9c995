package records

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// What became of a backup's files; "" is that they are there, or still to come.
const (
	PhaseDeleted  = "deleted"
	PhaseRemoving = "removing"
	PhaseRemoved  = "removed"
)

// How a backup was deleted.
const (
	HowRules = "rules" // of its project
	HowHand  = "hand"  // by somebody
	HowLast  = "last"  // by somebody who said that no other may be left
)

// Removal is what became of a backup's files, and why.
type Removal struct {
	Phase string
	Kept  bool // no rule deletes it

	Deleted      time.Time // zero: it was not
	By, Why, How string

	// SweepAt is when its files are looked at next: the end of the grace of one that is
	// deleted, and when the files of one that failed, or was lost, go. Zero: never.
	SweepAt time.Time
	Removed time.Time
	Error   string // of the last try to remove them
}

// Deletion is what somebody wants of DeleteBackup.
type Deletion struct {
	Actor, Why string
	Last       bool // also if it is the last good backup
	Now        bool // without grace
}

// DeleteBackup deletes a backup that is done: nobody sees it any more, and after the
// grace of its project its files are removed. ErrNotDone, ErrKept: it is not to be
// deleted; ErrLast: it is the only good backup; ErrRemoved: it is too late. A deleted
// one stays as it is, but for Now, which ends its grace.
func (s *Store) DeleteBackup(ctx context.Context, projectID, id string, d Deletion, now time.Time) (b Backup, err error) {
	err = s.change(ctx, projectID, id, func(t *sql.Tx, p Project, is Backup) error {
		b = is
		switch {
		case b.State != StateDone:
			return ErrNotDone
		case b.Removal.Phase == PhaseRemoving, b.Removal.Phase == PhaseRemoved:
			return ErrRemoved
		case b.Removal.Kept:
			return ErrKept
		}
		others, err := s.others(ctx, t, b, time.Time{})
		if err != nil {
			return err
		}
		if others == 0 && !d.Last {
			return ErrLast
		}
		if d.Now {
			p.Grace = 0
		} else if b.Removal.Phase == PhaseDeleted {
			return nil
		}
		how := HowHand
		if d.Last {
			how = HowLast
		}
		return remark(ctx, t, p, &b, Removal{By: d.Actor, Why: d.Why, How: how}, now)
	})
	return b, err
}

// others counts the good backups beside b that were begun at a time or later.
func (s *Store) others(ctx context.Context, t rowQuerier, b Backup, since time.Time) (n int, err error) {
	err = t.QueryRowContext(ctx, "SELECT count(*) FROM backups WHERE project_id = $1 AND id <> $2 AND state = $3 AND removal = '' AND started >= $4",
		b.ProjectID, b.ID, StateDone, millis(since)).Scan(&n)
	return n, err
}

// remark notes that a backup is deleted.
func remark(ctx context.Context, t *sql.Tx, p Project, b *Backup, r Removal, now time.Time) error {
	r.Phase, r.Deleted, r.SweepAt = PhaseDeleted, now, now.Add(p.Grace)
	b.Removal = r
	if _, err := t.ExecContext(ctx, `UPDATE backups SET removal = $3, deleted = $4, deleted_by = $5, deleted_why = $6, deleted_how = $7, sweep_at = $8, removal_error = ''
		WHERE project_id = $1 AND id = $2`, b.ProjectID, b.ID, r.Phase, millis(r.Deleted), r.By, r.Why, r.How, millis(r.SweepAt)); err != nil {
		return err
	}
	detail := fmt.Sprintf("%s until %s: %s", b.ID, r.SweepAt.UTC().Format(time.RFC3339), r.Why)
	return audit(ctx, t, AuditEntry{At: now, Actor: r.By, Action: "backup-delete", ProjectID: b.ProjectID, Detail: detail})
}

// UndeleteBackup takes back that a backup was deleted, while its files are there, and
// keeps it: a rule would delete it again. ErrRemoved: it is too late. One that is not
// deleted stays as it is.
func (s *Store) UndeleteBackup(ctx context.Context, projectID, id, actor string, now time.Time) (b Backup, err error) {
	err = s.change(ctx, projectID, id, func(t *sql.Tx, _ Project, is Backup) error {
		b = is
		switch b.Removal.Phase {
		case "":
			return nil
		case PhaseRemoving, PhaseRemoved:
			return ErrRemoved
		}
		b.Removal = Removal{Kept: true}
		if _, err := t.ExecContext(ctx, `UPDATE backups SET removal = '', kept = 1, deleted = 0, deleted_by = '', deleted_why = '', deleted_how = '', sweep_at = 0, removal_error = ''
			WHERE project_id = $1 AND id = $2`, projectID, id); err != nil {
			return err
		}
		return audit(ctx, t, AuditEntry{At: now, Actor: actor, Action: "backup-undelete", ProjectID: projectID, Detail: id})
	})
	return b, err
}

// KeepBackup says whether a backup is kept whatever the rules say. ErrNotDone,
// ErrRemoved: there is nothing to keep. A deleted one is undeleted first.
func (s *Store) KeepBackup(ctx context.Context, projectID, id, actor string, kept bool, now time.Time) (b Backup, err error) {
	err = s.change(ctx, projectID, id, func(t *sql.Tx, _ Project, is Backup) error {
		b = is
		switch {
		case b.State != StateDone:
			return ErrNotDone
		case b.Removal.Phase != "":
			return ErrRemoved
		case b.Removal.Kept == kept:
			return nil
		}
		b.Removal.Kept = kept
		if _, err := t.ExecContext(ctx, "UPDATE backups SET kept = $3 WHERE project_id = $1 AND id = $2", projectID, id, flag(kept)); err != nil {
			return err
		}
		action := "backup-keep"
		if !kept {
			action = "backup-release"
		}
		return audit(ctx, t, AuditEntry{At: now, Actor: actor, Action: action, ProjectID: projectID, Detail: id})
	})
	return b, err
}
