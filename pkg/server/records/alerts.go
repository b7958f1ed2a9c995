package records

import (
	"context"
	"database/sql"
	"time"
)

// Alert is something that is wrong with a project, or was.
type Alert struct {
	ID, ProjectID, Kind string
	Subject             string // tells alerts of one kind apart
	Text                string
	Opened, Closed      time.Time // Closed is zero while it is open
	Project             string    // its name
	// How many deliveries were made, are still to be made, and were given up.
	Told, Pending, GaveUp int
}

// keptFor is how long an alert is kept after its end.
const keptFor = 90 * 24 * time.Hour

// OpenAlert opens an alert, and says whether it was not open yet. Its targets are
// those of its project at this time.
func (s *Store) OpenAlert(ctx context.Context, turn Turn, a Alert, now time.Time) (opened bool, err error) {
	err = s.inTurn(ctx, turn, func(t *sql.Tx) error {
		a.ID = newID()
		// The project may have been removed meanwhile.
		r, err := t.ExecContext(ctx, `INSERT INTO alerts (id, project_id, kind, subject, text, opened, closed) SELECT $1, p.id, $3, $4, $5, $6, 0 FROM projects p WHERE p.id = $2
			ON CONFLICT (project_id, kind, subject) WHERE closed = 0 DO NOTHING`, a.ID, a.ProjectID, a.Kind, a.Subject, a.Text, millis(now))
		if err = affected(r, err); err == ErrNotFound {
			return nil
		} else if err != nil {
			return err
		}
		opened = true
		_, err = t.ExecContext(ctx, `INSERT INTO deliveries (alert_id, target_id, event, claimed_until, tries, done_at, gave_up, error)
			SELECT $1, t.id, $3, 0, 0, 0, 0, '' FROM targets t WHERE t.project_id IS NULL OR t.project_id = $2`, a.ID, a.ProjectID, EventOpened)
		return err
	})
	return opened && err == nil, err
}

// CloseAlert ends an alert, and says whether it was open. Whoever was to be told of
// it is to be told that it is over.
func (s *Store) CloseAlert(ctx context.Context, turn Turn, id string, now time.Time) (closed bool, err error) {
	err = s.inTurn(ctx, turn, func(t *sql.Tx) error {
		r, err := t.ExecContext(ctx, "UPDATE alerts SET closed = $2 WHERE id = $1 AND closed = 0", id, millis(now))
		if err = affected(r, err); err == ErrNotFound {
			return nil
		} else if err != nil {
			return err
		}
		closed = true
		_, err = t.ExecContext(ctx, `INSERT INTO deliveries (alert_id, target_id, event, claimed_until, tries, done_at, gave_up, error)
			SELECT d.alert_id, d.target_id, $2, 0, 0, 0, 0, '' FROM deliveries d WHERE d.alert_id = $1 AND d.event = $3`, id, EventRecovered, EventOpened)
		return err
	})
	return closed && err == nil, err
}

// ForgetAlerts removes what was over long ago.
func (s *Store) ForgetAlerts(ctx context.Context, now time.Time) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM alerts WHERE closed > 0 AND closed < $1", millis(now.Add(-keptFor)))
	return err
}

const alertColumns = "a.id, a.project_id, a.kind, a.subject, a.text, a.opened, a.closed, p.name"

func scanAlert(row scanner, more ...any) (a Alert, err error) {
	var opened, closed int64
	err = row.Scan(append([]any{&a.ID, &a.ProjectID, &a.Kind, &a.Subject, &a.Text, &opened, &closed, &a.Project}, more...)...)
	a.Opened, a.Closed = fromMillis(opened), fromMillis(closed)
	return a, err
}

// OpenAlerts are all that are open.
func (s *Store) OpenAlerts(ctx context.Context) ([]Alert, error) {
	return query(ctx, s.db, func(row scanner) (Alert, error) { return scanAlert(row) },
		"SELECT "+alertColumns+" FROM alerts a JOIN projects p ON p.id = a.project_id WHERE a.closed = 0 ORDER BY a.id")
}

// Alerts are the newest first, up to limit; those of one project, unless projectID
// is "", and only open ones, unless ended.
func (s *Store) Alerts(ctx context.Context, projectID string, ended bool, limit int) ([]Alert, error) {
	return s.AlertsAfter(ctx, projectID, ended, Place{}, limit)
}

// AlertsAfter are those that Alerts lists after one.
func (s *Store) AlertsAfter(ctx context.Context, projectID string, ended bool, after Place, limit int) ([]Alert, error) {
	args, where := []any{projectID, flag(ended), limit}, ""
	if !after.At.IsZero() {
		args = append(args, millis(after.At), after.ID)
		where = " AND (a.opened, a.id) < ($4, $5)"
	}
	return query(ctx, s.db, func(row scanner) (Alert, error) {
		var told, pending, gaveUp int
		a, err := scanAlert(row, &told, &pending, &gaveUp)
		a.Told, a.Pending, a.GaveUp = told, pending, gaveUp
		return a, err
	}, "SELECT "+alertColumns+`,
		(SELECT count(*) FROM deliveries d WHERE d.alert_id = a.id AND d.done_at > 0 AND d.gave_up = 0),
		(SELECT count(*) FROM deliveries d WHERE d.alert_id = a.id AND d.done_at = 0),
		(SELECT count(*) FROM deliveries d WHERE d.alert_id = a.id AND d.gave_up = 1)
		FROM alerts a JOIN projects p ON p.id = a.project_id
		WHERE ($1 = '' OR a.project_id = $1) AND ($2 = 1 OR a.closed = 0)`+where+" ORDER BY a.opened DESC, a.id DESC LIMIT $3", args...)
}
