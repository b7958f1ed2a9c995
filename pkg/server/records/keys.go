package records

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Kinds of keys.
const (
	KeyAgent   = "agent"   // can only add, unless its project allows more
	KeyRestore = "restore" // can list and download
)

// Key is a key without what it is, which nobody knows but who was shown it.
type Key struct {
	ID, ProjectID, Kind, Label string
	Created, LastUsed, Revoked time.Time
}

// keyPrefix lets scanners of sources and logs tell a key.
const keyPrefix = "dbk_"

// CreateKey makes a key. plain is the key itself, and is kept only as its hash.
func (s *Store) CreateKey(ctx context.Context, projectID, kind, label string, now time.Time) (plain string, k Key, err error) {
	plain = keyPrefix + randomText()
	k = Key{ID: newID(), ProjectID: projectID, Kind: kind, Label: label, Created: now}
	_, err = s.db.ExecContext(ctx, `INSERT INTO api_keys (id, project_id, kind, label, hash, created, last_used, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`,
		k.ID, k.ProjectID, k.Kind, k.Label, hashed(plain), millis(now))
	return plain, k, err
}

// randomText cannot be guessed.
func randomText() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// hashed is what is kept of a key. It is random, so a plain hash is enough, and to
// look one up by it tells nothing by the time it takes.
func hashed(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}

const keyColumns = "k.id, k.project_id, k.kind, k.label, k.created, k.last_used, k.revoked"

type keyRow struct {
	Key
	created, used, revoked int64
}

func (k *keyRow) fields() []any {
	return []any{&k.ID, &k.ProjectID, &k.Kind, &k.Label, &k.created, &k.used, &k.revoked}
}

func (k *keyRow) key() Key {
	k.Created, k.LastUsed, k.Revoked = fromMillis(k.created), fromMillis(k.used), fromMillis(k.revoked)
	return k.Key
}

// Caller finds out whose a key is. ErrNotFound: nobody's, or a revoked one.
func (s *Store) Caller(ctx context.Context, plain string) (Key, Project, error) {
	var k keyRow
	p, err := scanProject(s.db.QueryRowContext(ctx, "SELECT "+projectColumns+", "+keyColumns+
		" FROM api_keys k JOIN projects p ON p.id = k.project_id WHERE k.hash = $1 AND k.revoked = 0", hashed(plain)), k.fields()...)
	return k.key(), p, err
}

// Keys are those of a project, revoked ones too, the oldest first.
func (s *Store) Keys(ctx context.Context, projectID string) ([]Key, error) {
	return query(ctx, s.db, func(row scanner) (Key, error) {
		var k keyRow
		err := row.Scan(k.fields()...)
		return k.key(), err
	}, "SELECT "+keyColumns+" FROM api_keys k WHERE k.project_id = $1 ORDER BY k.id", projectID)
}

// Key finds one by its id.
func (s *Store) Key(ctx context.Context, id string) (Key, error) {
	var k keyRow
	err := s.db.QueryRowContext(ctx, "SELECT "+keyColumns+" FROM api_keys k WHERE k.id = $1", id).Scan(k.fields()...)
	return k.key(), found(err)
}

// RevokeKey ends a key. To end it again changes nothing.
func (s *Store) RevokeKey(ctx context.Context, id string, now time.Time) error {
	return affected(s.db.ExecContext(ctx, "UPDATE api_keys SET revoked = CASE WHEN revoked = 0 THEN $2 ELSE revoked END WHERE id = $1", id, millis(now)))
}
