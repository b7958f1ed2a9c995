package records

import (
	"context"
	"time"
)

// Target is whom to tell of alerts: of one project, or of all if ProjectID is "".
type Target struct {
	ID, ProjectID, Kind string
	Config              string // JSON, with what is secret of it
	Created             time.Time
}

const targetColumns = "t.id, COALESCE(t.project_id, ''), t.kind, t.config, t.created"

func scanTarget(row scanner, more ...any) (t Target, err error) {
	var created int64
	err = row.Scan(append([]any{&t.ID, &t.ProjectID, &t.Kind, &t.Config, &created}, more...)...)
	t.Created = fromMillis(created)
	return t, found(err)
}

// AddTarget adds one. It is told of what begins from now on.
func (s *Store) AddTarget(ctx context.Context, t Target, now time.Time) (Target, error) {
	t.ID, t.Created = newID(), now
	_, err := s.db.ExecContext(ctx, "INSERT INTO targets (id, project_id, kind, config, created, held_until) VALUES ($1, NULLIF($2, ''), $3, $4, $5, 0)",
		t.ID, t.ProjectID, t.Kind, t.Config, millis(now))
	return t, err
}

// Target finds one.
func (s *Store) Target(ctx context.Context, id string) (Target, error) {
	return scanTarget(s.db.QueryRowContext(ctx, "SELECT "+targetColumns+" FROM targets t WHERE t.id = $1", id))
}

// Targets are all, the oldest first.
func (s *Store) Targets(ctx context.Context) ([]Target, error) {
	return query(ctx, s.db, func(row scanner) (Target, error) { return scanTarget(row) }, "SELECT "+targetColumns+" FROM targets t ORDER BY t.id")
}

// RemoveTarget removes one, also what it was not told yet.
func (s *Store) RemoveTarget(ctx context.Context, id string) error {
	return affected(s.db.ExecContext(ctx, "DELETE FROM targets WHERE id = $1", id))
}
