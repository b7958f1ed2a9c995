package dumper

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestPostgresRestoreIndexesEarly has one of two large tables wait until an index of
// the other is made.
func TestPostgresRestoreIndexesEarly(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t, "autovacuum=off")
	pgExec(t, s, "postgres", "CREATE DATABASE shop")
	pgExec(t, s, "shop", `CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 5000) i; CREATE TABLE b AS SELECT * FROM a; CREATE TABLE c AS SELECT 1 AS i;
		ALTER TABLE a ADD PRIMARY KEY (i); CREATE INDEX ON a (t); COMMENT ON INDEX a_t_idx IS 'text'; ALTER TABLE b ADD UNIQUE (i), ALTER i SET NOT NULL; ALTER TABLE b REPLICA IDENTITY USING INDEX b_i_key;
		ALTER TABLE b ADD FOREIGN KEY (i) REFERENCES a; CREATE MATERIALIZED VIEW m AS SELECT i FROM a; CREATE INDEX ON m (i)`)
	parts := pgPartsOf(t, pgFor(t, s, "shop"), SnapshotOptions{Jobs: 2, Large: 100 << 10})
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "indexing"), 0o600); err != nil {
		t.Fatal(err)
	}
	tools := script(t, "pg_restore", realPgRestore, strings.ReplaceAll(`case "$*" in
		*section=data*) mkdir DIR/first 2> /dev/null || { mkdir DIR/second 2> /dev/null && read line < DIR/indexing; };;
		*jobs=1*) mkdir DIR/indexed 2> /dev/null && echo > DIR/indexing;;
		esac; exec REAL "$@"`, "DIR", dir))
	p := pgFor(t, s, "new", withTools(tools))
	p.limits.Stall = 20 * time.Second
	if err := p.RestoreParts(t.Context(), parts, 2, RestoreOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.PlainDump(t, "new"), s.PlainDump(t, "shop"); got != want {
		t.Errorf("the first difference: %s", firstDifference(got, want))
	}
}
