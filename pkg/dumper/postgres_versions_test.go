package dumper

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// TestPostgresVersions takes databases between servers and tools of different
// releases.
func TestPostgresVersions(t *testing.T) {
	t.Parallel()
	old, now := dbtest.Postgres(t), dbtest.PostgresFrom(t, dbtest.Chroot(t, "trixie"), "17")
	newer := dbtest.PostgresFrom(t, dbtest.Chroot(t, "sid"), "18")
	tools := withTools(now.Wrappers(t, "pg_dump", "pg_dumpall", "pg_restore", "psql"))
	newest := withTools(newer.Wrappers(t, "pg_dump", "pg_dumpall", "pg_restore", "psql"))
	none := func(*Postgres) {}
	for _, s := range []*dbtest.Server{old, now, newer} {
		pgExec(t, s, "postgres", "CREATE DATABASE shop")
		pgExec(t, s, "shop", `CREATE SCHEMA shop; CREATE TABLE shop.a AS SELECT i, md5(i::text) t FROM generate_series(1, 5000) i; CREATE UNIQUE INDEX ON shop.a (i);
			SELECT lo_from_bytea(4242, decode(repeat('00ff10', 200000), 'hex')), lo_from_bytea(3000000000, ''); CREATE TABLE shop.empty (LIKE shop.a)`)
	}
	const rows = "SELECT (SELECT md5(string_agg(t, '' ORDER BY i)) FROM shop.a), md5(lo_get(4242)), length(lo_get(3000000000))"
	want := old.SQL(t, "shop", rows)

	t.Run("a tool that is too old", func(t *testing.T) {
		p := pgFor(t, now, "shop", withTools("/usr/lib/postgresql/15/bin"))
		for _, err := range []error{p.Dump(context.Background(), io.Discard), second(p.Describe(context.Background())), second(p.DumpGlobals(context.Background(), io.Discard))} {
			wantError(t, err, "the server is PostgreSQL 17", "postgresql-client-17", "found /usr/lib/postgresql/15/bin/pg_dump", "(15)")
		}
		findings, err := p.Check(context.Background())
		if err != nil || findings[1].Level != Fail || findings[1].Fix != "apt-get install postgresql-client-17" {
			t.Errorf("%v, %+v", err, findings)
		}
	})
	t.Run("describe", func(t *testing.T) {
		info, err := pgFor(t, now, "shop", tools).Describe(context.Background())
		if err != nil || info.Engine != "postgresql" || !strings.HasPrefix(info.ServerVersion, "17.") || !strings.HasPrefix(info.ToolVersion, "17.") || info.Database != "shop" {
			t.Errorf("%+v, %v", info, err)
		}
	})
	dump := mustDump(t, pgFor(t, now, "shop", tools))
	t.Run("each cut of a real dump of 17", func(t *testing.T) {
		for _, n := range []int{1, 100, 10_000, len(dump) / 2, len(dump) - 1} {
			v := pgarchive.NewVerifier()
			v.Write(dump[:n])
			wantError(t, v.Close(), "not complete")
		}
	})
	for _, test := range []struct {
		name      string
		from, to  *dbtest.Server
		dump      func(*Postgres)
		restore   func(*Postgres)
		wantError string
	}{
		{"17 to 17", now, now, tools, tools, ""},
		{"18 to 18", newer, newer, newest, newest, ""},
		{"15 to 17, old tools", old, now, none, none, ""},
		{"15 to 17, new tools", old, now, tools, tools, ""},
		{"15 to 15, dumped by 17", old, old, tools, tools, ""},
		{"17 to 15", now, old, tools, tools, ""},
		{"17 to 15, no tool reads it", now, old, tools, none, "needs pg_restore 17 or newer: install the package postgresql-client-17"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dump := mustDump(t, pgFor(t, test.from, "shop", test.dump))
			p := pgFor(t, test.to, "copy", test.restore)
			err := p.Restore(context.Background(), bytes.NewReader(dump), RestoreOptions{Create: true})
			if test.wantError != "" {
				wantError(t, err, test.wantError)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := test.to.SQL(t, "copy", rows); got != want {
				t.Errorf("rows are %s, want %s", got, want)
			}
			test.to.SQL(t, "postgres", "DROP DATABASE copy")
		})
	}
	t.Run("a script that breaks leaves nothing", func(t *testing.T) {
		old.SQL(t, "postgres", "CREATE DATABASE copy")
		p := pgFor(t, old, "copy", tools)
		err := p.Restore(context.Background(), bytes.NewReader(dump[:len(dump)-1000]), RestoreOptions{})
		wantError(t, err, "is not complete", "nothing was changed")
		old.SQL(t, "copy", "CREATE SCHEMA shop")
		wantError(t, p.Restore(context.Background(), bytes.NewReader(dump), RestoreOptions{}), "psql failed", `schema "shop" already exists`, "nothing was changed")
		old.SQL(t, "copy", "DROP SCHEMA shop")
		if st, err := p.State(context.Background()); err != nil || st.Objects != 0 {
			t.Errorf("%+v, %v", st, err)
		}
	})
	t.Run("parts, 17 to 15", func(t *testing.T) {
		parts := pgPartsOf(t, pgFor(t, now, "shop", tools), SnapshotOptions{Jobs: 2, Large: 100 << 10})
		for name, o := range map[string]RestoreOptions{"parts": {Create: true}, "copy": {}} {
			if err := pgFor(t, old, name, tools).RestoreParts(t.Context(), parts, 2, o); err != nil {
				t.Fatal(err)
			}
			if got := old.SQL(t, name, rows); len(parts.Data) != 2 || got != want {
				t.Errorf("%d parts; in %s, rows are %s, want %s", len(parts.Data), name, got, want)
			}
		}
		old.SQL(t, "postgres", "DROP DATABASE copy")
	})
	t.Run("a script that fails behind large objects leaves nothing", func(t *testing.T) {
		pgExec(t, now, "shop", `CREATE FUNCTION shop.elsewhere(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN
			IF current_setting(''application_name'') LIKE ''dbacked/%'' THEN RAISE ''not here''; END IF; RETURN $1; END'`)
		pgExec(t, now, "shop", "CREATE INDEX ON shop.a (shop.elsewhere(i))")
		old.SQL(t, "postgres", "CREATE DATABASE copy")
		p := pgFor(t, old, "copy", tools)
		wantError(t, p.Restore(context.Background(), bytes.NewReader(mustDump(t, pgFor(t, now, "shop", tools))), RestoreOptions{}), "not here", "nothing was changed")
		parts := pgPartsOf(t, pgFor(t, now, "shop", tools), SnapshotOptions{Jobs: 2, Large: 100 << 10})
		wantError(t, p.RestoreParts(context.Background(), parts, 2, RestoreOptions{}), "not here", "nothing was changed")
		if st, err := p.State(context.Background()); err != nil || st.Objects != 0 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
