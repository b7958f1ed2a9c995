package dumper

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// pgTablesSample has what a table may need, and what may need it.
const pgTablesSample = `
CREATE SCHEMA "My Schema"; CREATE TYPE "My Schema".mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN public.positive AS int CHECK (VALUE > 0);
CREATE FUNCTION "My Schema".twice(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i * 2';
CREATE FUNCTION "My Schema".loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'loud'; END $$;
CREATE TABLE public.customer (id int PRIMARY KEY, name text); INSERT INTO public.customer SELECT i, 'c' || i FROM generate_series(1, 9) i;
CREATE TABLE "My Schema"."a.b" (id serial PRIMARY KEY, "Big ""One" bigint GENERATED ALWAYS AS IDENTITY, m "My Schema".mood DEFAULT 'it''s ok', p public.positive NOT NULL,
	d int DEFAULT "My Schema".twice(21), g int GENERATED ALWAYS AS (p * 2) STORED, c int REFERENCES public.customer, CHECK ("My Schema".twice(d) > 0));
INSERT INTO "My Schema"."a.b" (p, c) SELECT i, i % 9 + 1 FROM generate_series(1, 100) i;
CREATE INDEX "odd index" ON "My Schema"."a.b" (m, "My Schema".twice(p)) WHERE p > 3; CREATE STATISTICS "My Schema".st ON id, p FROM "My Schema"."a.b";
COMMENT ON TABLE "My Schema"."a.b" IS 'it''s a table'; COMMENT ON COLUMN "My Schema"."a.b".p IS 'p'; COMMENT ON INDEX "My Schema"."odd index" IS 'odd';
GRANT SELECT ON "My Schema"."a.b" TO PUBLIC; GRANT UPDATE (p) ON "My Schema"."a.b" TO PUBLIC;
CREATE TRIGGER loud BEFORE UPDATE ON "My Schema"."a.b" FOR EACH ROW EXECUTE FUNCTION "My Schema".loud();
CREATE TABLE public.orders (i int, t text, PRIMARY KEY (i)) PARTITION BY RANGE (i); CREATE TABLE public.orders_1 PARTITION OF public.orders FOR VALUES FROM (0) TO (1000);
CREATE TABLE public.orders_2 PARTITION OF public.orders DEFAULT; CREATE INDEX ON public.orders (t);
INSERT INTO public.orders SELECT i, 'x' || i FROM generate_series(1, 1500) i; CREATE TABLE public.other AS SELECT i FROM generate_series(1, 50) i;
CREATE VIEW public.seen AS SELECT * FROM public.other;
`

// pgTablesBed is a database with its parts, and the same in one stream.
type pgTablesBed struct {
	server *dbtest.Server
	tools  func(*Postgres)
	split  Parts
	one    Parts
}

func newPgTablesBed(t *testing.T, s *dbtest.Server, tools func(*Postgres)) *pgTablesBed {
	t.Helper()
	s.SQL(t, "postgres", "CREATE DATABASE shop")
	s.SQL(t, "shop", pgTablesSample)
	p := pgFor(t, s, "shop", tools)
	return &pgTablesBed{s, tools, pgPartsOf(t, p, SnapshotOptions{Jobs: 8, Large: 1}), WholeDump(pgSource(mustDump(t, p)))}
}

// copyOf is the database once more, under a name.
func (b *pgTablesBed) copyOf(t *testing.T, name string) *Postgres {
	t.Helper()
	p := pgFor(t, b.server, name, b.tools)
	if err := p.RestoreParts(t.Context(), b.split, 2, RestoreOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *pgTablesBed) mustTables(t *testing.T, p *Postgres, parts Parts, o TableOptions, patterns ...string) TableReport {
	t.Helper()
	report, err := p.RestoreTables(t.Context(), parts, patterns, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestPostgresRestoreTables loses tables and brings them back: the database is what
// it was, and another one gets what they need.
func TestPostgresRestoreTables(t *testing.T) {
	t.Parallel()
	pgServers(t, func(t *testing.T, s *dbtest.Server, tools func(*Postgres)) {
		if s.Version == "17" {
			return // 15 and 18 are the first and the last
		}
		b := newPgTablesBed(t, s, tools)
		original := s.PlainDump(t, "shop")
		for layout, parts := range map[string]Parts{"split": b.split, "one": b.one} {
			t.Run(layout, func(t *testing.T) {
				p := b.copyOf(t, "lost_"+layout)
				same := func() {
					t.Helper()
					if got := s.PlainDump(t, p.conn.Database); got != original {
						t.Errorf("the first difference: %s", firstDifference(got, original))
					}
				}
				s.SQL(t, p.conn.Database, `DROP TABLE "My Schema"."a.b", orders; DROP FUNCTION "My Schema".twice`)
				report := b.mustTables(t, p, parts, TableOptions{}, `"My Schema".*`, "public.order?")
				if got := len(report.Tables); got != 4 || len(report.LeftOut) != 0 || !slices.Equal(report.Made, []string{`function "My Schema".twice(integer)`}) {
					t.Errorf("%+v", report)
				}
				same()
				s.SQL(t, p.conn.Database, `DROP TABLE orders_1`)
				b.mustTables(t, p, parts, TableOptions{}, "orders_1")
				same()
				s.SQL(t, p.conn.Database, `TRUNCATE orders_2, "My Schema"."a.b"; CREATE TRIGGER i BEFORE INSERT ON "My Schema"."a.b" FOR EACH ROW EXECUTE FUNCTION "My Schema".loud();
					ALTER TABLE "My Schema"."a.b" ENABLE ALWAYS TRIGGER i; CREATE TRIGGER j BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION "My Schema".loud()`)
				report = b.mustTables(t, p, parts, TableOptions{}, "orders_2", `"a.b"`)
				if !report.Tables[0].Exists || report.Tables[0].Filled || report.Tables[0].Rows != 100 {
					t.Errorf("%+v", report)
				}
				if got := s.SQL(t, p.conn.Database, `SELECT string_agg(tgenabled::text, '' ORDER BY tgname) FROM pg_trigger WHERE tgname IN ('i', 'j');
					DROP TRIGGER i ON "My Schema"."a.b"; DROP TRIGGER j ON orders`); got != "AOOO" {
					t.Errorf("the triggers are %s", got)
				}
				same()

				s.SQL(t, p.conn.Database, `DROP TABLE customer CASCADE`)
				report = b.mustTables(t, p, parts, TableOptions{}, "customer")
				if want := []string{`foreign key "a.b_c_fkey" of "My Schema"."a.b": the table that it belongs to is not restored`}; !slices.Equal(report.LeftOut, want) {
					t.Errorf("left out: %q", report.LeftOut)
				}

				s.SQL(t, "postgres", "CREATE DATABASE bare_"+layout)
				p = pgFor(t, s, "bare_"+layout, tools)
				report = b.mustTables(t, p, parts, TableOptions{}, `"My Schema"."a.b"`)
				if left := strings.Join(report.LeftOut, "; "); len(report.LeftOut) != 2 || !strings.Contains(left, "foreign key") || !strings.Contains(left, "table public.customer is not there") || !strings.Contains(left, "trigger") {
					t.Errorf("left out: %s", left)
				}
				if got := s.SQL(t, p.conn.Database, `INSERT INTO "My Schema"."a.b" (p) VALUES (7) RETURNING id, "Big ""One", m, d, g`); got != "101|101|it's ok|42|14" {
					t.Errorf("the next row is %s", got)
				}
			})
		}
	})
}

// TestPostgresRestoreTablesRefuses: what cannot be done changes nothing.
func TestPostgresRestoreTablesRefuses(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	b := newPgTablesBed(t, s, withTools("/usr/lib/postgresql/15/bin"))
	p := pgFor(t, s, "shop", b.tools)
	s.SQL(t, "shop", "DELETE FROM other WHERE i > 10")
	original := s.PlainDump(t, "shop")
	fails := func(name string, parts Parts, o TableOptions, pattern string, is error, words ...string) {
		t.Helper()
		_, err := p.RestoreTables(t.Context(), parts, []string{pattern}, o)
		if is != nil && !errors.Is(err, is) {
			t.Errorf("%s: %v", name, err)
		}
		wantError(t, err, words...)
		if s.PlainDump(t, "shop") != original {
			t.Errorf("%s: the database has changed", name)
		}
	}
	fails("rows", b.split, TableOptions{}, "other", ErrHasRows, "public.other", "--force")
	fails("referred to", b.split, TableOptions{Force: true}, "customer", nil, "nothing was changed", `"a.b" references "customer"`)
	fails("no match", b.split, TableOptions{}, "public.othr", ErrNoTable, "there are public.other")
	fails("no match in one stream", b.one, TableOptions{}, "nothing_like_it", ErrNoTable, "--tables")
	fails("a view", b.split, TableOptions{}, "seen", ErrNoTable)
	fails("three names", b.split, TableOptions{}, "a.b.c", nil, "write schema.table")
	s.SQL(t, "shop", `DROP TABLE "My Schema"."a.b"; DELETE FROM customer WHERE id = 9`)
	original = s.PlainDump(t, "shop")
	fails("what it refers to is gone", b.split, TableOptions{}, `"a.b"`, nil, "violates foreign key constraint", "restore the table that had them as well", "nothing was changed")
	other := b.split
	other.Contents.Tables = slices.Clone(other.Contents.Tables)
	for i := range other.Contents.Tables {
		if other.Contents.Tables[i].Table == "other" {
			other.Contents.Tables[i].Rows = 51
		}
	}
	fails("a count that differs", other, TableOptions{Force: true}, "other", ErrOtherRows, "public.other has 50 rows instead of 51", "nothing was changed")

	if report := b.mustTables(t, p, b.split, TableOptions{Force: true}, "other"); !report.Tables[0].Filled {
		t.Errorf("%+v", report)
	}
	if got := s.SQL(t, "shop", "SELECT count(*) FROM other"); got != "50" {
		t.Errorf("%s rows", got)
	}
}

// TestPostgresRestoreTablesReads: of the parts, only those are read that hold what
// is restored.
func TestPostgresRestoreTablesReads(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	b := newPgTablesBed(t, s, withTools("/usr/lib/postgresql/15/bin"))
	var read []string
	parts := b.split
	parts.Data = slices.Clone(parts.Data)
	for i, part := range parts.Data {
		parts.Data[i].Source = func(ctx context.Context, use func(context.Context, io.Reader) error) error {
			for _, c := range parts.Contents.Tables {
				if c.Part == part.Name {
					read = append(read, c.Table)
				}
			}
			return part.Source(ctx, use)
		}
	}
	s.SQL(t, "shop", "DROP TABLE orders_1")
	b.mustTables(t, pgFor(t, s, "shop", b.tools), parts, TableOptions{}, "orders_1")
	if !slices.Equal(read, []string{"orders_1"}) {
		t.Errorf("read %q", read)
	}
	// A pg_restore that has what it wants of a dump does not wait for its end.
	s.SQL(t, "shop", "CREATE TABLE zz AS SELECT i, repeat(md5(i::text), 9) t FROM generate_series(1, 20000) i")
	p := pgFor(t, s, "shop", b.tools)
	archive := mustDump(t, p)
	s.SQL(t, "shop", "TRUNCATE other")
	b.mustTables(t, p, WholeDump(pgSource(archive)), TableOptions{}, "other")
	if got := s.SQL(t, "shop", "SELECT count(*) FROM other"); got != "50" {
		t.Errorf("%s rows", got)
	}
	s.SQL(t, "shop", "TRUNCATE other")
	_, err := p.RestoreTables(t.Context(), WholeDump(pgSource(archive[:len(archive)-1])), []string{"other"}, TableOptions{})
	if got := s.SQL(t, "shop", "SELECT count(*) FROM other"); !errors.Is(err, ErrIncomplete) || got != "0" {
		t.Errorf("of a dump that is cut, %s rows came back: %v", got, err)
	}
}

// TestPostgresPatterns reads names as psql does.
func TestPostgresPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"public.order_*": "public.order_1 public.order_22", "ORDER_?": "public.order_1 x.order_1", `"Order_?"`: "", `x.*`: "x.order_1",
		`"a.b"."c""d*"`: `"a.b"."c""d*"`, "ä?": `public."äö"`, "*.order_1": "public.order_1 x.order_1",
	} {
		list, err := pgPatterns([]string{pattern})
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var got []string
		for _, n := range []pgTableName{{"public", "order_1"}, {"public", "order_22"}, {"x", "order_1"}, {"a.b", `c"d*`}, {"public", "äö"}, {"public", "order"}} {
			if list[0].matches(n) {
				got = append(got, n.String())
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s matches %s", pattern, got)
		}
	}
	for _, wrong := range []string{"", ".", "a.", "a.b.c", `"a`, `a."b`} {
		if _, err := pgPatterns([]string{wrong}); err == nil {
			t.Errorf("%q is read", wrong)
		}
	}
}
