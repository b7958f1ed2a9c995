package records

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"
)

// AuditEntry is something that somebody did. Entries are only ever added.
type AuditEntry struct {
	At                                   time.Time
	ID, Actor, Action, ProjectID, Detail string
}

// Audit adds an entry.
func (s *Store) Audit(ctx context.Context, actor, action, projectID, detail string, now time.Time) error {
	return audit(ctx, s.db, AuditEntry{At: now, Actor: actor, Action: action, ProjectID: projectID, Detail: detail})
}

// execer is a database, or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func audit(ctx context.Context, t execer, e AuditEntry) error {
	_, err := t.ExecContext(ctx, "INSERT INTO audit (id, at, actor, action, project_id, detail) VALUES ($1, $2, $3, $4, $5, $6)",
		newID(), millis(e.At), e.Actor, e.Action, e.ProjectID, e.Detail)
	return err
}

// AuditLog is the newest entries first, up to limit; of one project, unless
// projectID is "".
func (s *Store) AuditLog(ctx context.Context, projectID string, limit int) ([]AuditEntry, error) {
	return s.AuditLogAfter(ctx, projectID, Place{}, limit)
}

// AuditLogAfter is what AuditLog lists after an entry.
func (s *Store) AuditLogAfter(ctx context.Context, projectID string, after Place, limit int) ([]AuditEntry, error) {
	args, where := []any{limit}, ""
	if projectID != "" {
		args = append(args, projectID)
		where = " AND project_id = $2"
	}
	if !after.At.IsZero() {
		args = append(args, millis(after.At), after.ID)
		where += fmt.Sprintf(" AND (at, id) < ($%d, $%d)", len(args)-1, len(args))
	}
	return query(ctx, s.db, func(row scanner) (e AuditEntry, err error) {
		var at int64
		err = row.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.ProjectID, &e.Detail)
		e.At = fromMillis(at)
		return e, err
	}, "SELECT id, at, actor, action, project_id, detail FROM audit WHERE 1 = 1"+where+" ORDER BY at DESC, id DESC LIMIT $1", args...)
}

// Secret is 32 bytes that were drawn once: what addresses are signed with, by all
// replicas alike.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	const name = "signing"
	var drawn [32]byte
	_, _ = rand.Read(drawn[:]) // never fails
	if _, err := s.db.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, hex.EncodeToString(drawn[:])); err != nil {
		return nil, err
	}
	var value string
	if err := s.db.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = $1", name).Scan(&value); err != nil {
		return nil, err
	}
	return hex.DecodeString(value)
}
