package dumper

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestPostgresSnapshotCounts counts in a snapshot what others change meanwhile.
func TestPostgresSnapshotCounts(t *testing.T) {
	t.Parallel()
	server := dbtest.Postgres(t)
	pgExec(t, server, "postgres", "CREATE DATABASE shop")
	pgExec(t, server, "shop", `CREATE TABLE a AS SELECT i FROM generate_series(1, 20000) i; CREATE TABLE "we ird" AS SELECT 1 AS i;
		CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1), (1)`)
	o := SnapshotOptions{Jobs: 2, Large: 100_000}
	s := mustSnapshot(t, pgFor(t, server, "shop"), o)
	pgExec(t, server, "shop", "DELETE FROM a WHERE i < 100; INSERT INTO p VALUES (1)")
	wantError(t, s.Count(t.Context(), s.Parts()[1]), "it was not dumped")
	for _, part := range s.Parts() {
		if err := s.Dump(t.Context(), part, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := s.Count(t.Context(), part); err != nil {
			t.Error(err)
		}
	}
	for _, c := range s.Contents() {
		if want := map[string]int64{"a": 20000, "we ird": 1, "p1": 2}[c.Table]; c.Rows != want || !c.Counted {
			t.Errorf("%+v", c)
		}
	}
	s.held["data-1"].tables[pgTableName{"public", "a"}].rows--
	err := s.Count(t.Context(), s.Parts()[1])
	if wantError(t, err, `the table "public"."a" has 20000 rows in the snapshot, and 19999 were dumped`); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, s.Count(t.Context(), s.Parts()[1]), "the snapshot was closed")
}

func TestPostgresSplits(t *testing.T) {
	t.Parallel()
	server := dbtest.Postgres(t)
	pgExec(t, server, "postgres", "CREATE DATABASE shop")
	pgExec(t, server, "shop", "CREATE TABLE a AS SELECT i, md5(i::text) t FROM generate_series(1, 20000) i")
	p := pgFor(t, server, "shop")
	for _, test := range []struct {
		o    SnapshotOptions
		want bool
	}{
		{SnapshotOptions{Jobs: 2, Large: 1000}, true},
		{SnapshotOptions{Jobs: 1, Large: 1000}, false},
		{SnapshotOptions{Jobs: 2}, false},
	} {
		if got, err := p.Splits(t.Context(), test.o); err != nil || got != test.want {
			t.Errorf("%+v: %t, %v", test.o, got, err)
		}
	}
	// What the server knows of a table may be old, or of little of it, or nothing.
	for name, fill := range map[string]string{
		"grown":    "CREATE TABLE b (i int, t text); ANALYZE b; INSERT INTO b SELECT i, md5(i::text) FROM generate_series(1, 20000) i",
		"wide":     "CREATE TABLE b (t text); ALTER TABLE b ALTER t SET STORAGE EXTERNAL; INSERT INTO b VALUES (repeat('x', 2000000)); ANALYZE b",
		"vacuumed": "CREATE TABLE b AS SELECT i, md5(i::text) t FROM generate_series(1, 20000) i; VACUUM ANALYZE b",
		"reset":    "CREATE TABLE b AS SELECT i, md5(i::text) t FROM generate_series(1, 20000) i; SELECT pg_stat_force_next_flush(); SELECT pg_stat_reset()",
	} {
		pgExec(t, server, "postgres", "CREATE DATABASE "+name)
		for statement := range strings.SplitSeq(fill, "; ") {
			pgExec(t, server, name, statement)
		}
		for least, want := range map[int64]bool{1_000_000: true, 4_000_000: false} {
			if got, err := pgFor(t, server, name).Splits(t.Context(), SnapshotOptions{Jobs: 2, Large: least}); err != nil || got != want {
				t.Errorf("%s, at least %d: %t, %v", name, least, got, err)
			}
		}
	}
	// It does not wait for whoever has a table to himself.
	pgExec(t, server, "shop", "ANALYZE a")
	pgOther(t, server, "BEGIN", "LOCK TABLE public.a")
	for least, want := range map[int64]bool{1000: true, 1 << 30: false} {
		if got, err := p.Splits(t.Context(), SnapshotOptions{Jobs: 2, Large: least}); err != nil || got != want {
			t.Errorf("locked, and at least %d: %t, %v", least, got, err)
		}
	}
}
