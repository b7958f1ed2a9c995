package dumper

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func testNotShared(t *testing.T, server *dbtest.Server) {
	refused := func(t *testing.T, p *Postgres, words ...string) {
		t.Helper()
		_, err := p.Snapshot(t.Context(), SnapshotOptions{Jobs: 2})
		wantError(t, err, append(words, "cannot be shared")...)
		if !errors.Is(err, ErrNotShared) {
			t.Error(err)
		}
	}
	for _, option := range []string{"--exclude-table=a", "-n", "--schema=public", "--inserts", "--encoding=LATIN1", "--serializable-deferrable"} {
		p := pgFor(t, server, "shop")
		p.tools.Options = []string{"--no-owner", option}
		refused(t, p, option)
	}
	p := pgFor(t, server, "shop")
	p.tools.Environ = []string{"PGOPTIONS=-c search_path=x"}
	refused(t, p, "PGOPTIONS")
	t.Run("a pooler", func(t *testing.T) {
		port := dbtest.Pooler(t, server)
		refused(t, pgFor(t, server, "shop", func(p *Postgres) { p.conn.Host, p.conn.Port = "127.0.0.1", port }), "a pooler stands between")
	})
	t.Run("a snapshot of another server", func(t *testing.T) {
		p := pgFor(t, server, "shop")
		db := pgOther(t, server)
		h := &pgHolder{p: p, db: db, id: "00000099-00000001-1"}
		if err := h.share(t.Context()); !errors.Is(err, ErrNotShared) {
			t.Error(err)
		}
	})
	t.Run("too many tables", func(t *testing.T) {
		pgExec(t, server, "postgres", "CREATE DATABASE many")
		pgExec(t, server, "many", "DO $$ BEGIN FOR i IN 1..120 LOOP EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$")
		refused(t, pgFor(t, server, "many"), "120 tables", "multiply max_locks_per_transaction by")
	})
	h := &pgHolder{p: pgFor(t, server, "shop")}
	wantError(t, h.explainLock(t.Context(), &pgconn.PgError{Code: "53200", Message: "out of shared memory"}), "raise max_locks_per_transaction")
}

func TestPgStatementKind(t *testing.T) {
	for sql, want := range map[string]string{
		"alter table only secret ADD x int": "ALTER TABLE", "/* c */ -- d\n TRUNCATE secret": "TRUNCATE", "select 'secret'": "SELECT",
		"<insufficient privilege>": "a statement", "": "a statement", `"secret"`: "a statement", "sécret": "a statement",
		"BEGIN; SET secret = 1; DROP TABLE secret": "DROP TABLE", "BEGIN": "BEGIN", "CREATE UNIQUE INDEX secret": "CREATE UNIQUE", "REFRESH MATERIALIZED VIEW secret": "REFRESH MATERIALIZED",
	} {
		if got := pgStatementKind(sql); got != want || strings.Contains(got, "secret") {
			t.Errorf("%q is %q, want %q", sql, got, want)
		}
	}
}
