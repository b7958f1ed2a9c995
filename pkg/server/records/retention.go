package records

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// DefaultGrace leaves a week to notice that a backup was deleted by mistake.
	DefaultGrace = 7 * 24 * time.Hour
	// LeastGrace is longer than an address of a download is good for.
	LeastGrace = time.Hour
	// DefaultMinimum leaves time to notice that new backups are bad before the old
	// ones go.
	DefaultMinimum = 24 * time.Hour

	// mostKept is more backups than anybody keeps by one rule, longestKept longer.
	mostKept    = 1_000_000
	longestKept = 200 * 365 * 24 * time.Hour

	// mostAtOnce bounds for how long a project waits: the rest is deleted the next time.
	mostAtOnce = 1000
)

// ByRules is who deletes by a project's rules, in the audit log.
const ByRules = "retention"

func (p Project) checkRetention() error {
	for rule, n := range map[string]int{"last": p.Keep.KeepLast, "daily": p.Keep.Daily, "weekly": p.Keep.Weekly, "monthly": p.Keep.Monthly, "yearly": p.Keep.Yearly} {
		if n < 0 || n > mostKept {
			return fmt.Errorf("keep-%s is 0 to %d", rule, mostKept)
		}
	}
	for rule, d := range map[string]time.Duration{"keep-for": p.Keep.For, "keep-minimum": p.Keep.Minimum, "grace": p.Grace} {
		if d < 0 || d > longestKept {
			return fmt.Errorf("%s is at least 0, and at most 200 years", rule)
		}
	}
	if p.Grace < LeastGrace {
		return fmt.Errorf("grace is at least %s", LeastGrace)
	}
	return nil
}

// retention is what is kept of it, in the columns' order.
func (p Project) retention() []any {
	k := p.Keep
	return []any{k.KeepLast, k.Daily, k.Weekly, k.Monthly, k.Yearly, k.For.Milliseconds(), k.Minimum.Milliseconds(), p.Grace.Milliseconds()}
}

// Excess says which of a project's backups, the newest first, no rule keeps, by their
// ids, and why. It is to be pure.
type Excess func(p Project, stored []Backup) (why map[string]string)

// Retain deletes what a project's rules do not keep. Nothing is deleted unless the
// backup that ended last is done, and never the newest that is done, nor one that is
// kept. Repeated, or at the same time elsewhere, it deletes nothing twice.
func (s *Store) Retain(ctx context.Context, projectID string, excess Excess, now time.Time) (deleted []Backup, err error) {
	p, err := s.Project(ctx, projectID)
	if err != nil || !p.Keep.HasRule() {
		return nil, err
	}
	// Nearly always there is nothing: that is found without a transaction.
	if found, err := s.excess(ctx, s.db, p, excess, now); err != nil || len(found) == 0 {
		return nil, err
	}
	err = s.tx(ctx, func(t *sql.Tx) error {
		if p, err = s.lockProject(ctx, t, projectID); err != nil {
			return err
		}
		if deleted, err = s.excess(ctx, t, p, excess, now); err != nil {
			return err
		}
		for i := range deleted {
			if err := remark(ctx, t, p, &deleted[i], Removal{By: ByRules, Why: deleted[i].Removal.Why, How: HowRules}, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return deleted, nil
}

// excess is what Retain deletes.
func (s *Store) excess(ctx context.Context, t rowQuerier, p Project, excess Excess, now time.Time) (found []Backup, err error) {
	if !p.Keep.HasRule() {
		return nil, nil
	}
	if ok, err := s.lastIsGood(ctx, t, p, now); err != nil || !ok {
		return nil, err
	}
	stored, err := query(ctx, t, scanBackup, storedNewestFirst, p.ID, StateDone)
	if err != nil || len(stored) < 2 {
		return nil, err
	}
	why := excess(p, stored)
	for _, b := range stored[1:] {
		if reason, goes := why[b.ID]; goes && !b.Removal.Kept {
			b.Removal.Why = reason
			found = append(found, b)
		}
	}
	return found[max(0, len(found)-mostAtOnce):], nil // the oldest
}

// lastIsGood says whether the backup that was begun last, of those that are not being
// made, is done. One whose agent has been silent for its lease is not being made.
func (s *Store) lastIsGood(ctx context.Context, t rowQuerier, p Project, now time.Time) (bool, error) {
	var state string
	err := found(t.QueryRowContext(ctx, `SELECT b.state FROM backups b WHERE b.project_id = $1
		AND NOT (b.state = $2 AND b.lease_until > $4) AND NOT (b.state = $3 AND b.completing_until > $4)
		ORDER BY b.started DESC, b.id DESC LIMIT 1`, p.ID, StateOpen, StateCompleting, millis(now)).Scan(&state))
	if err == ErrNotFound {
		return false, nil
	}
	return state == StateDone, err
}
