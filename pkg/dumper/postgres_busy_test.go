package dumper

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestPostgresRestoreBusy: a server that builds an index is at work, one that
// waits for somebody's lock is not.
func TestPostgresRestoreBusy(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	pgExec(t, s, "postgres", "CREATE DATABASE shop")
	pgExec(t, s, "postgres", "CREATE DATABASE target")
	pgExec(t, s, "shop", `CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN i; END';
		CREATE TABLE t AS SELECT i FROM generate_series(1, 40) i; CREATE INDEX ON t (slow(i))`)
	dump := mustDump(t, pgFor(t, s, "shop"))
	p := pgFor(t, s, "target", func(p *Postgres) { p.limits.Stall = time.Second })
	start := time.Now()
	mustRestore(t, p, dump, RestoreOptions{})
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("the index took %s only: nothing was shown", took)
	}

	db, err := p.connect(t.Context(), "target")
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	var pid int
	if err := db.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "BEGIN; LOCK TABLE public.t"); err != nil {
		t.Fatal(err)
	}
	err = p.Restore(context.Background(), bytes.NewReader(dump), RestoreOptions{Clean: true})
	wantError(t, err, fmt.Sprintf("a lock that the sessions %d hold", pid), "nothing was changed")
	if st, err := p.State(t.Context()); err != nil || st.Sessions < 1 || st.Objects != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestPostgresCheckIsBounded: of many objects, the first are named and the rest is
// counted; options that leave objects out make failures doubtful.
func TestPostgresCheckIsBounded(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	pgExec(t, s, "postgres", `CREATE DATABASE shop; `)
	pgExec(t, s, "shop", `CREATE ROLE reader LOGIN; DO $$ BEGIN FOR i IN 1..25 LOOP EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$;
		CREATE FOREIGN DATA WRAPPER w; CREATE SERVER r FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f () SERVER r; CREATE USER MAPPING FOR postgres SERVER r OPTIONS (password 'secret');
		CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=secret' PUBLICATION x WITH (connect = false)`)
	p := pgFor(t, s, "shop", asUser("reader"))
	count := func(level Level) (n int, text string) {
		findings, err := p.Check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			text += fmt.Sprintln(f)
			if f.Level == level {
				n++
			}
		}
		return n, text
	}
	n, text := count(Fail)
	if n != pgNamed+1 || !strings.Contains(text, "5 more tables and sequences") || !strings.Contains(text, `GRANT pg_read_all_data TO "reader";`) {
		t.Errorf("%d fail:\n%s", n, text)
	}
	for _, want := range []string{"subscriptions", "user mapping of postgres for server r", "foreign table public.f", "roles without their passwords"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("a secret shows:\n%s", text)
	}
	p.tools.Options = []string{"--exclude-table=t*"}
	if n, text := count(Fail); n != 0 || !strings.Contains(text, "leave objects out") {
		t.Errorf("%d fail:\n%s", n, text)
	}
	p.tools.Options = []string{"--enable-row-security"}
	if n, text := count(Fail); n != pgNamed+2 || !strings.Contains(text, "rows that a policy hides") {
		t.Errorf("%d fail:\n%s", n, text)
	}
}
