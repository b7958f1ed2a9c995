package records

import (
	"context"
	"errors"
)

// CopyTo writes the database as it is at one moment to a file that does not exist, or
// is empty. Others may read and write meanwhile. Only SQLite has this.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	if s.postgres {
		return errors.New("only SQLite is copied to a file")
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}
