package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const realPgRestore = "/usr/lib/postgresql/15/bin/pg_restore"

func mustRestore(t testing.TB, p *Postgres, dump []byte, o RestoreOptions) {
	t.Helper()
	if err := p.Restore(context.Background(), bytes.NewReader(dump), o); err != nil {
		t.Fatal(err)
	}
}

// settings are the database's own: locale, owner, settings, grants, comment.
const settingsSQL = `SELECT pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba), datconnlimit,
	array_to_string(ARRAY(SELECT x::text FROM unnest(datacl) x ORDER BY 1), ' '), shobj_description(d.oid, 'pg_database'),
	(SELECT string_agg(setrole::regrole::text || setconfig::text, ';' ORDER BY 1) FROM pg_db_role_setting WHERE setdatabase = d.oid)
	FROM pg_database d WHERE datname = current_database()`

// TestPostgresRoundTrip dumps a database with what tools stumble over, and
// restores it under another, odd name with --create.
func TestPostgresRoundTrip(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	const from, to = `sh"op = 'x' \ $ 😀`, `be'tter\ "name" dbname=postgres`
	quoted := pgIdent(from)
	s.Sample(t, "plain")
	s.SQL(t, "postgres", `CREATE ROLE boss; ALTER DATABASE plain RENAME TO `+quoted+`; ALTER DATABASE `+quoted+` OWNER TO boss;
		ALTER DATABASE `+quoted+` SET work_mem = '77MB'; ALTER DATABASE `+quoted+` CONNECTION LIMIT 7;
		ALTER ROLE boss IN DATABASE `+quoted+` SET search_path = shop, "we ird""s";
		REVOKE CONNECT ON DATABASE `+quoted+` FROM PUBLIC; GRANT TEMP ON DATABASE `+quoted+` TO "we ird""role" WITH GRANT OPTION;
		COMMENT ON DATABASE `+quoted+` IS 'it''s; the "shop"'`)
	conninfo := func(name string) string { return (&Postgres{}).conninfo(name).String() }

	dump := mustDump(t, pgFor(t, s, from))
	p := pgFor(t, s, to)
	if st, err := p.State(context.Background()); err != nil || st.Exists {
		t.Fatalf("%+v, %v", st, err)
	}
	mustRestore(t, p, dump, RestoreOptions{Create: true})
	if before, after := s.PlainDump(t, conninfo(from)), s.PlainDump(t, conninfo(to)); before != after {
		t.Error(cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")))
	}
	if before, after := s.SQL(t, conninfo(from), settingsSQL), s.SQL(t, conninfo(to), settingsSQL); before != after || !strings.Contains(after, "77MB") {
		t.Errorf("settings before %s\nafter %s", before, after)
	}
	st, err := p.State(context.Background())
	if err != nil || !st.Exists || st.Objects < 30 || st.Example == "" {
		t.Errorf("%+v, %v", st, err)
	}
	t.Run("again", func(t *testing.T) {
		err := p.Restore(context.Background(), bytes.NewReader(dump), RestoreOptions{Create: true})
		wantError(t, err, "is there already")
		if after := s.PlainDump(t, conninfo(to)); after == "" {
			t.Error("the database is gone")
		}
	})
	t.Run("into one that is not empty", func(t *testing.T) {
		err := p.Restore(context.Background(), bytes.NewReader(dump), RestoreOptions{})
		wantError(t, err, "already exists", "nothing was changed")
		s.SQL(t, conninfo(to), `DELETE FROM shop.animal; CREATE TABLE later ()`)
		mustRestore(t, p, dump, RestoreOptions{Clean: true})
		if got := s.SQL(t, conninfo(to), `SELECT count(*) FROM shop.animal`); got != "2" {
			t.Errorf("%s animals", got)
		}
	})
}

// TestPostgresRestoreFails causes what may go wrong: each leaves the target as it
// was.
func TestPostgresRestoreFails(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t, "max_locks_per_transaction=10", "max_connections=20", "autovacuum=off")
	s.SQL(t, "postgres", "CREATE DATABASE shop; CREATE DATABASE target")
	s.SQL(t, "shop", "CREATE ROLE boss; CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 20000) i; CREATE TABLE b AS SELECT * FROM a; ALTER TABLE b OWNER TO boss")
	archive := mustDump(t, pgFor(t, s, "shop"))
	broken := errors.New("the stream broke")
	p := pgFor(t, s, "target")
	empty := func(t *testing.T) {
		t.Helper()
		st, err := p.State(context.Background())
		if err != nil || !st.Exists || st.Objects != 0 {
			t.Errorf("the target is %+v, %v", st, err)
		}
	}
	t.Run("the stream breaks", func(t *testing.T) {
		for _, n := range []int{3, 2000, len(archive) / 2, blockEnd(t, archive), len(archive) - 1} {
			err := p.Restore(context.Background(), io.MultiReader(bytes.NewReader(archive[:n]), errReader{broken}), RestoreOptions{})
			if !errors.Is(err, broken) {
				t.Errorf("at %d: %v", n, err)
			}
			empty(t)
		}
	})
	t.Run("the stream is cut", func(t *testing.T) {
		for _, n := range []int{0, 3, 2000, len(archive) / 2, blockEnd(t, archive), len(archive) - 1} {
			err := p.Restore(context.Background(), bytes.NewReader(archive[:n]), RestoreOptions{})
			if !errors.Is(err, ErrIncomplete) {
				t.Errorf("at %d: %v", n, err)
			}
			empty(t)
		}
	})
	t.Run("with create", func(t *testing.T) {
		p := pgFor(t, s, "new one")
		err := p.Restore(context.Background(), io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), errReader{broken}), RestoreOptions{Create: true})
		wantError(t, err, "the stream broke", `the database "new one", which this restore made, was dropped again`)
		if st, err := p.State(context.Background()); err != nil || st.Exists {
			t.Errorf("the target is %+v, %v", st, err)
		}
	})
	t.Run("another engine", func(t *testing.T) {
		for text, want := range map[string]string{
			"-- MySQL dump 10.13": "--db-type mysql", "/*M!999999\\- enable the sandbox": "MariaDB", "--\n-- PostgreSQL database dump\n": "psql", "what?": "no archive",
		} {
			err := p.Restore(context.Background(), strings.NewReader(text), RestoreOptions{})
			if !errors.Is(err, ErrWrongEngine) {
				t.Errorf("%q: %v", text, err)
			}
			wantError(t, err, want)
		}
		empty(t)
	})
	t.Run("killed", func(t *testing.T) {
		p := pgFor(t, s, "target", withTools(script(t, "pg_restore", realPgRestore, "head -c 1000000 | REAL \"$@\" & sleep 0.3; kill -9 $$")))
		err := p.Restore(context.Background(), bytes.NewReader(archive), RestoreOptions{})
		wantError(t, err, "killed by signal 9", "nothing was changed")
		empty(t)
	})
	t.Run("exits early", func(t *testing.T) {
		p := pgFor(t, s, "target", withTools(script(t, "pg_restore", realPgRestore, "head -c 1000; exit 0")))
		err := p.Restore(context.Background(), bytes.NewReader(archive), RestoreOptions{})
		wantError(t, err, "before it had read all of its input")
		empty(t)
	})
	t.Run("takes nothing", func(t *testing.T) {
		p := pgFor(t, s, "target", withTools(script(t, "pg_restore", realPgRestore, "exec sleep 600")))
		p.limits.Stall = 300 * time.Millisecond
		err := p.Restore(context.Background(), bytes.NewReader(archive), RestoreOptions{})
		wantError(t, err, "moved no data for 300ms", "no session on the server")
		empty(t)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		r := io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), readerFunc(func(b []byte) (int, error) { cancel(broken); <-ctx.Done(); return 0, ctx.Err() }))
		if err := p.Restore(ctx, r, RestoreOptions{}); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		empty(t)
	})
	t.Run("missing role", func(t *testing.T) {
		s.SQL(t, "shop", "ALTER TABLE b OWNER TO postgres; DROP ROLE boss")
		err := p.Restore(context.Background(), bytes.NewReader(archive), RestoreOptions{})
		wantError(t, err, "lacks the role boss", "--no-owner")
		empty(t)
		mustRestore(t, p, archive, RestoreOptions{NoOwner: true, NoPrivileges: true})
		s.SQL(t, "target", "DROP TABLE a, b")
	})
	t.Run("too many objects for one transaction", func(t *testing.T) {
		archive := manyTables(t, 400)
		err := p.Restore(context.Background(), bytes.NewReader(archive), RestoreOptions{})
		wantError(t, err, "raise max_locks_per_transaction", "nothing was changed")
		empty(t)
		created := pgFor(t, s, "created")
		mustRestore(t, created, archive, RestoreOptions{Create: true})
		if st, err := created.State(context.Background()); err != nil || st.Objects != 400 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

// manyTables is an archive of n tables.
func manyTables(t *testing.T, n int) []byte {
	t.Helper()
	s := dbtest.Postgres(t, "max_locks_per_transaction=1000")
	s.SQL(t, "postgres", "CREATE DATABASE many")
	s.SQL(t, "many", fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('CREATE TABLE many_%%s (i int, t text)', i); END LOOP; END $$", n))
	return mustDump(t, pgFor(t, s, "many"))
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
