package records

import (
	"context"
	"time"
)

// Token lets a person, or a program, administer the service. It is no key: no agent
// can use it, and no key administers anything.
type Token struct {
	ID, Name                            string
	ReadOnly                            bool
	Created, Expires, LastUsed, Revoked time.Time // Expires is zero of one that never does
}

// tokenPrefix lets scanners of sources and logs tell a token.
const tokenPrefix = "dbt_"

// CreateToken makes a token. plain is the token itself, and is kept only as its
// hash. ErrTaken: there is, or was, one of that name.
func (s *Store) CreateToken(ctx context.Context, t Token, now time.Time) (plain string, made Token, err error) {
	plain = tokenPrefix + randomText()
	t.ID, t.Created, t.LastUsed, t.Revoked = newID(), now, time.Time{}, time.Time{}
	r, err := s.db.ExecContext(ctx, `INSERT INTO tokens (id, name, read_only, hash, created, expires, last_used, revoked)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0) ON CONFLICT (name) DO NOTHING`,
		t.ID, t.Name, flag(t.ReadOnly), hashed(plain), millis(now), millis(t.Expires))
	if err = affected(r, err); err == ErrNotFound {
		err = ErrTaken
	}
	return plain, t, err
}

const tokenColumns = "t.id, t.name, t.read_only, t.created, t.expires, t.last_used, t.revoked"

func scanToken(row scanner) (t Token, err error) {
	var readOnly int
	var created, expires, used, revoked int64
	err = row.Scan(&t.ID, &t.Name, &readOnly, &created, &expires, &used, &revoked)
	t.ReadOnly = readOnly != 0
	t.Created, t.Expires, t.LastUsed, t.Revoked = fromMillis(created), fromMillis(expires), fromMillis(used), fromMillis(revoked)
	return t, found(err)
}

// TokenOf finds out whose a token is. ErrNotFound: nobody's, or it is over.
func (s *Store) TokenOf(ctx context.Context, plain string, now time.Time) (Token, error) {
	return scanToken(s.db.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens t WHERE t.hash = $1 AND t.revoked = 0 AND (t.expires = 0 OR t.expires > $2)",
		hashed(plain), millis(now)))
}

// Tokens are all, also those that are over, the oldest first.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	return query(ctx, s.db, scanToken, "SELECT "+tokenColumns+" FROM tokens t ORDER BY t.id")
}

// TokenNamed finds a token by its name, or by its id.
func (s *Store) TokenNamed(ctx context.Context, name string) (Token, error) {
	return scanToken(s.db.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens t WHERE t.name = $1 OR t.id = $1 ORDER BY CASE WHEN t.name = $1 THEN 0 ELSE 1 END LIMIT 1", name))
}

// RevokeToken ends a token. To end it again changes nothing.
func (s *Store) RevokeToken(ctx context.Context, id string, now time.Time) error {
	return affected(s.db.ExecContext(ctx, "UPDATE tokens SET revoked = CASE WHEN revoked = 0 THEN $2 ELSE revoked END WHERE id = $1", id, millis(now)))
}
