package records

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
)

// database counts what it refuses, or does not answer.
type database struct {
	*sql.DB
	failures atomic.Uint64
}

// Failures is how often the database failed since it was opened: not what it did not
// find, and not what was no longer waited for.
func (s *Store) Failures() uint64 { return s.db.failures.Load() }

// expected are errors that say nothing of the database.
var expected = []error{
	ErrNotFound, ErrTaken, ErrNotDue, ErrLost, ErrConflict, ErrTurn, ErrNotDone, ErrLast, ErrKept, ErrRemoved,
	sql.ErrNoRows, sql.ErrTxDone, context.Canceled, context.DeadlineExceeded,
}

// refusal is the caller's own error, which ends a transaction.
type refusal struct{ error }

func (d *database) count(err error) error {
	if _, own := errors.AsType[refusal](err); own || err == nil {
		return err
	}
	for _, e := range expected {
		if errors.Is(err, e) {
			return err
		}
	}
	d.failures.Add(1)
	return err
}

// ExecContext is that of sql.DB.
func (d *database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r, err := d.DB.ExecContext(ctx, query, args...)
	return r, d.count(err)
}

// QueryContext is that of sql.DB.
func (d *database) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r, err := d.DB.QueryContext(ctx, query, args...)
	return r, d.count(err)
}

// QueryRowContext is that of sql.DB.
func (d *database) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	r := d.DB.QueryRowContext(ctx, query, args...)
	_ = d.count(r.Err())
	return r
}

// PingContext is that of sql.DB.
func (d *database) PingContext(ctx context.Context) error { return d.count(d.DB.PingContext(ctx)) }
