package dumper

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// pgOther is another session of the database shop.
func pgOther(t *testing.T, s *dbtest.Server, statements ...string) *pgDB {
	t.Helper()
	db, err := pgFor(t, s, "shop").connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.close)
	for _, sql := range statements {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func mustSnapshot(t *testing.T, p *Postgres, o SnapshotOptions) *Snapshot {
	t.Helper()
	s, err := p.Snapshot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestPostgresSnapshotFails causes what may go wrong while parts are dumped: none
// of it ends well, and each is named.
func TestPostgresSnapshotFails(t *testing.T) {
	t.Parallel()
	server := dbtest.Postgres(t, "max_locks_per_transaction=10")
	pgExec(t, server, "postgres", "CREATE DATABASE shop")
	pgExec(t, server, "shop", `CREATE TABLE a AS SELECT i, md5(i::text) t FROM generate_series(1, 20000) i; CREATE TABLE b AS SELECT * FROM a;
		CREATE TABLE small (id serial); CREATE UNLOGGED TABLE light AS SELECT 1 AS i; CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader`)
	large := SnapshotOptions{Jobs: 4, Large: 1}
	kill := func(t *testing.T, s *Snapshot) {
		t.Helper()
		if _, err := pgOther(t, server).Exec(t.Context(), "SELECT pg_terminate_backend($1::int4)", int32(s.session.db.PgConn().PID())); err != nil {
			t.Error(err)
		}
	}

	t.Run("the session is killed while a part is dumped", func(t *testing.T) {
		s := mustSnapshot(t, pgFor(t, server, "shop"), large)
		err := s.Dump(t.Context(), s.Parts()[1], writerFunc(func(b []byte) (int, error) {
			if s.Context().Err() == nil {
				kill(t, s)
				<-s.Context().Done()
			}
			return len(b), nil
		}))
		wantError(t, err, "the session that holds the snapshot ended", "see the server's log")
		wantError(t, s.Close(), "the session that holds the snapshot ended")
	})
	t.Run("the session is killed after all parts", func(t *testing.T) {
		s := mustSnapshot(t, pgFor(t, server, "shop"), large)
		for _, part := range s.Parts() {
			if err := s.Dump(t.Context(), part, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		kill(t, s)
		wantError(t, s.Close(), "the session that holds the snapshot")
	})
	t.Run("the run is cancelled", func(t *testing.T) {
		reason := errors.New("the user had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		s, err := pgFor(t, server, "shop").Snapshot(ctx, large)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Dump(t.Context(), s.Parts()[1], writerFunc(func(b []byte) (int, error) { cancel(reason); return len(b), nil }))
		if cerr := s.Close(); !errors.Is(err, reason) || !errors.Is(cerr, reason) {
			t.Errorf("%v; %v", err, cerr)
		}
	})
	for name, test := range map[string]struct {
		spoil func(parts []Part) []Part
		words []string
	}{
		"a table twice": {func(parts []Part) []Part {
			rest := &parts[slices.IndexFunc(parts, func(p Part) bool { return p.Name == "data" })]
			rest.args = append(slices.Clone(rest.args[:1]), `--exclude-table-data="public"."A"`, `--exclude-table-data="public"."b"`)
			return parts
		}, []string{`the rows of the table "public"."a" are in the parts data-1, data`}},
		"a table in none": {func(parts []Part) []Part {
			parts[1].args = []string{"--section=data", `--table="public"."small"`}
			return parts
		}, []string{`no part has the rows of the table "public"."a"`, `the rows of the table "public"."small" are in the parts`}},
		"no sequences": {func(parts []Part) []Part {
			rest := &parts[slices.IndexFunc(parts, func(p Part) bool { return p.Name == "data" })]
			rest.args = append(slices.Clone(rest.args), "--exclude-table=small*")
			return parts
		}, []string{`no part has the value of the sequence "public"."small_id_seq"`, `no part has the rows of the table "public"."small"`}},
		"no definitions": {func(parts []Part) []Part {
			parts[0].args = append(parts[0].args, "--exclude-table=b")
			return parts
		}, []string{`no part has the definition of the table "public"."b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustSnapshot(t, pgFor(t, server, "shop"), large)
			s.parts = test.spoil(s.parts)
			_, err := pgDumpParts(t, s)
			wantError(t, err, append(test.words, "the dump is not complete")...)
		})
	}
	t.Run("a TRUNCATE waits, and so does a rewrite", func(t *testing.T) {
		s := mustSnapshot(t, pgFor(t, server, "shop"), large)
		db := pgOther(t, server, "SET lock_timeout = '50ms'")
		for _, sql := range []string{"TRUNCATE public.b", "ALTER TABLE public.b ALTER i TYPE bigint"} {
			if _, err := db.Exec(t.Context(), sql); pgCode(err) != "55P03" {
				t.Errorf("%s: %v", sql, err)
			}
		}
		_, err := pgDumpParts(t, s)
		for _, c := range s.Contents() {
			if (c.Table == "a" || c.Table == "b") && c.Rows != 20000 {
				t.Errorf("%d rows of %s", c.Rows, c.Table)
			}
		}
		if _, terr := db.Exec(t.Context(), "BEGIN; TRUNCATE public.b; ROLLBACK"); err != nil || terr != nil {
			t.Errorf("%v; after it %v", err, terr)
		}
	})
	t.Run("schemas change places", func(t *testing.T) {
		pgExec(t, server, "shop", "CREATE SCHEMA x; CREATE TABLE x.t AS SELECT 'x' AS t; CREATE SCHEMA y; CREATE TABLE y.t AS SELECT 'y' AS t")
		s := mustSnapshot(t, pgFor(t, server, "shop"), large)
		pgExec(t, server, "shop", "ALTER SCHEMA x RENAME TO z; ALTER SCHEMA y RENAME TO x; ALTER SCHEMA z RENAME TO y")
		_, err := pgDumpParts(t, s)
		wantError(t, err, "was renamed while it was dumped")
		pgExec(t, server, "shop", "DROP SCHEMA x, y CASCADE")
	})
	t.Run("a part is missing", func(t *testing.T) {
		s := mustSnapshot(t, pgFor(t, server, "shop"), large)
		wantError(t, s.Close(), "the part schema was not dumped")
		wantError(t, s.Close(), "the part schema was not dumped")
	})
	t.Run("by who may only read", func(t *testing.T) {
		p := pgFor(t, server, "shop", asUser("reader"))
		p.tools.Options = []string{"--no-unlogged-table-data", "--no-owner", "-x"}
		s := mustSnapshot(t, p, large)
		_, err := pgDumpParts(t, s)
		names := ""
		for _, c := range s.Contents() {
			names += " " + c.Table + " in " + c.Part
		}
		if err != nil || names != " a in data-1 b in data-2 small in data" || s.Age() <= 0 {
			t.Errorf("%v, %s", err, names)
		}
	})
	t.Run("by who may not", func(t *testing.T) {
		pgExec(t, server, "shop", "CREATE ROLE nobody LOGIN")
		_, err := pgFor(t, server, "shop", asUser("nobody")).Snapshot(t.Context(), large)
		wantError(t, err, "permission denied for table a", "GRANT SELECT ON TABLE a TO nobody")
	})
	t.Run("others wait", func(t *testing.T) { testOthersWait(t, server) })
	t.Run("not shared", func(t *testing.T) { testNotShared(t, server) })
}

func testOthersWait(t *testing.T, server *dbtest.Server) {
	alter := func(t *testing.T) (done chan error) {
		t.Helper()
		db, done := pgOther(t, server, "SET application_name = 'migration'"), make(chan error, 1)
		go func() {
			_, err := db.Exec(context.Background(), "/* secret */ ALTER TABLE public.a ALTER i SET DEFAULT 4711")
			done <- err
		}()
		return done
	}
	t.Run("too long", func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		p := pgFor(t, server, "shop")
		p.log = zap.New(core)
		s := mustSnapshot(t, p, SnapshotOptions{Jobs: 2, Large: 1, BlockLimit: 300 * time.Millisecond})
		done := alter(t)
		<-s.Context().Done()
		err := s.Dump(t.Context(), s.Parts()[1], io.Discard)
		wantError(t, err, "gave way", "ALTER TABLE of the process", "for the table public.a", "application migration")
		if cerr := s.Close(); !errors.Is(err, ErrYield) || !errors.Is(cerr, ErrYield) {
			t.Errorf("%v; %v", err, cerr)
		}
		if err := <-done; err != nil {
			t.Errorf("the other's statement: %v", err)
		}
		seen := logs.FilterMessage("another session waits behind the locks of the dump").All()
		if s.Blocked() != 1 || len(seen) != 1 || seen[0].ContextMap()["statement"] != "ALTER TABLE" {
			t.Errorf("%d seen, logged %+v", s.Blocked(), seen)
		}
	})
	t.Run("before a part", func(t *testing.T) {
		p := pgFor(t, server, "shop", asUser("reader"))
		p.limits.Lock = 300 * time.Millisecond
		s := mustSnapshot(t, p, SnapshotOptions{Jobs: 2, Large: 1})
		done := alter(t)
		for s.Blocked() == 0 && s.Context().Err() == nil { // the watcher's own event
			time.Sleep(10 * time.Millisecond)
		}
		err := s.Dump(t.Context(), s.Parts()[0], io.Discard)
		if !errors.Is(err, ErrYield) || !errors.Is(s.Close(), ErrYield) {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("the other's statement: %v", err)
		}
	})
	t.Run("they hold a table", func(t *testing.T) {
		p := pgFor(t, server, "shop")
		p.limits.Lock = 100 * time.Millisecond
		db := pgOther(t, server, "BEGIN", "LOCK TABLE public.b")
		_, err := p.Snapshot(t.Context(), SnapshotOptions{})
		wantError(t, err, "a table was locked for longer than 100ms", "table public.b is locked by process")
		if !errors.Is(err, ErrYield) {
			t.Error(err)
		}
		db.close()
	})
}
