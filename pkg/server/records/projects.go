package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dbacked/dbacked/pkg/retention"
)

// Project is a database that is backed up.
type Project struct {
	ID, Name       string
	PublicKey      string // PEM; "" if the agents have it
	Schedule, Zone string
	NextDue        time.Time // a past one is due
	Created        time.Time
	AgentsRestore  bool // agents' keys may read

	// Keep says which backups are kept; without a rule, all are. Its Zone is not kept:
	// days are those of the project's Zone.
	Keep  retention.Policy
	Grace time.Duration // from a backup's deletion to the removal of its files

	active string // the backup that holds the lock
}

const projectColumns = "p.id, p.name, p.public_key, p.schedule, p.zone, p.agents_restore, p.created, p.next_due, p.active, " +
	"p.keep_last, p.keep_daily, p.keep_weekly, p.keep_monthly, p.keep_yearly, p.keep_for, p.keep_minimum, p.grace"

// scanner is a row, or one of several.
type scanner interface{ Scan(to ...any) error }

func scanProject(row scanner, more ...any) (p Project, err error) {
	var restore int
	var created, due, keepFor, minimum, grace int64
	k := &p.Keep
	err = row.Scan(append([]any{
		&p.ID, &p.Name, &p.PublicKey, &p.Schedule, &p.Zone, &restore, &created, &due, &p.active,
		&k.KeepLast, &k.Daily, &k.Weekly, &k.Monthly, &k.Yearly, &keepFor, &minimum, &grace,
	}, more...)...)
	k.For, k.Minimum, p.Grace = ofMillis(keepFor), ofMillis(minimum), ofMillis(grace)
	p.AgentsRestore, p.Created, p.NextDue = restore != 0, fromMillis(created), fromMillis(due)
	return p, found(err)
}

// CreateProject makes a project, whose first backup is due at once. ErrTaken: there
// is one of that name.
func (s *Store) CreateProject(ctx context.Context, p Project, now time.Time) (Project, error) {
	if p.Name == "" || len(p.Name) > 200 {
		return p, fmt.Errorf("a project's name has 1 to 200 bytes")
	}
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	if p.Keep.Minimum == 0 && !p.Keep.HasRule() {
		p.Keep.Minimum = DefaultMinimum
	}
	if err := p.checkRetention(); err != nil {
		return p, err
	}
	p.ID, p.Created, p.NextDue, p.active = newID(), now, now, ""
	r, err := s.db.ExecContext(ctx, `INSERT INTO projects (id, name, public_key, schedule, zone, agents_restore, created, next_due, active,
		keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_for, keep_minimum, grace)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (name) DO NOTHING`,
		append([]any{p.ID, p.Name, p.PublicKey, p.Schedule, p.Zone, flag(p.AgentsRestore), millis(p.Created), millis(p.NextDue)}, p.retention()...)...)
	if affected(r, err) == ErrNotFound {
		err = ErrTaken
	}
	return p, err
}

// newID is an id that sorts by time and cannot be guessed.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Project finds a project by its id.
func (s *Store) Project(ctx context.Context, id string) (Project, error) {
	return scanProject(s.db.QueryRowContext(ctx, "SELECT "+projectColumns+" FROM projects p WHERE p.id = $1", id))
}

// ProjectByName finds a project by its name.
func (s *Store) ProjectByName(ctx context.Context, name string) (Project, error) {
	return scanProject(s.db.QueryRowContext(ctx, "SELECT "+projectColumns+" FROM projects p WHERE p.name = $1", name))
}

// Projects are all, by their names.
func (s *Store) Projects(ctx context.Context) ([]Project, error) {
	return query(ctx, s.db, func(row scanner) (Project, error) { return scanProject(row) }, "SELECT "+projectColumns+" FROM projects p ORDER BY p.name")
}

// UpdateProject changes all but the name, when it was made, and what is due.
func (s *Store) UpdateProject(ctx context.Context, p Project) error {
	if err := p.checkRetention(); err != nil {
		return err
	}
	return affected(s.db.ExecContext(ctx, updateProject, p.changed()...))
}

// ChangeProject changes what UpdateProject does, of a project that nobody else changes
// meanwhile. An error of change leaves it as it is.
func (s *Store) ChangeProject(ctx context.Context, id string, change func(p *Project) error) (p Project, err error) {
	err = s.tx(ctx, func(t *sql.Tx) error {
		if p, err = s.lockProject(ctx, t, id); err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return refusal{err}
		}
		if err := p.checkRetention(); err != nil {
			return refusal{err}
		}
		_, err = t.ExecContext(ctx, updateProject, p.changed()...)
		return err
	})
	if r, ok := errors.AsType[refusal](err); ok {
		err = r.error
	}
	return p, err
}

const updateProject = `UPDATE projects SET public_key = $2, schedule = $3, zone = $4, agents_restore = $5,
	keep_last = $6, keep_daily = $7, keep_weekly = $8, keep_monthly = $9, keep_yearly = $10, keep_for = $11, keep_minimum = $12, grace = $13 WHERE id = $1`

// changed is what updateProject takes.
func (p Project) changed() []any {
	return append([]any{p.ID, p.PublicKey, p.Schedule, p.Zone, flag(p.AgentsRestore)}, p.retention()...)
}

// SetDue changes when the next backup is due, unless one is due already.
func (s *Store) SetDue(ctx context.Context, id string, due, now time.Time) (Project, error) {
	var p Project
	err := s.tx(ctx, func(t *sql.Tx) (err error) {
		if p, err = s.lockProject(ctx, t, id); err != nil || !p.NextDue.IsZero() && !p.NextDue.After(now) {
			return err
		}
		p.NextDue = due
		_, err = t.ExecContext(ctx, "UPDATE projects SET next_due = $2 WHERE id = $1", id, millis(due))
		return err
	})
	return p, err
}

// DeleteProject removes a project, and all that is known of it.
func (s *Store) DeleteProject(ctx context.Context, id string) error {
	return affected(s.db.ExecContext(ctx, "DELETE FROM projects WHERE id = $1", id))
}

// lockProject reads a project that nobody else changes until t ends.
func (s *Store) lockProject(ctx context.Context, t *sql.Tx, id string) (Project, error) {
	return scanProject(t.QueryRowContext(ctx, s.forUpdate("SELECT "+projectColumns+" FROM projects p WHERE p.id = $1"), id))
}

// querier is a database, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// query reads all rows.
func query[T any](ctx context.Context, q querier, scan func(scanner) (T, error), text string, args ...any) (all []T, err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
