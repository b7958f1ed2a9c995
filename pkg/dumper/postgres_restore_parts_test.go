package dumper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// pgMore is what a restore in parts could get wrong, beside pgOdd: what depends on
// what comes after the data.
const pgMore = `
CREATE TABLE egg (i int PRIMARY KEY, hen int); CREATE TABLE hen (i int PRIMARY KEY, egg int REFERENCES egg);
INSERT INTO egg SELECT i, i FROM generate_series(1, 2000) i; INSERT INTO hen SELECT i, i FROM generate_series(1, 2000) i; ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen;
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;
CREATE TRIGGER never BEFORE INSERT ON egg FOR EACH ROW EXECUTE FUNCTION never();
CREATE MATERIALIZED VIEW zz_first AS SELECT hen, count(*) AS n FROM egg GROUP BY hen; CREATE UNIQUE INDEX ON zz_first (hen);
CREATE MATERIALIZED VIEW aa_second AS SELECT sum(n) AS s FROM zz_first; CREATE MATERIALIZED VIEW empty AS SELECT 1 AS i WITH NO DATA;
CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more'; END $$;
CREATE TABLE cut (i int, t text) PARTITION BY RANGE (i); CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM (0) TO (1000); CREATE TABLE cut_2 PARTITION OF cut DEFAULT;
CREATE TABLE uneven AS SELECT i, repeat(md5(i::text), 1 + i % 37 * (i % 3)) AS t FROM generate_series(1, 5000) i;
ALTER TABLE uneven ADD CONSTRAINT once UNIQUE (i), ADD CONSTRAINT apart EXCLUDE (i WITH =); COMMENT ON CONSTRAINT once ON uneven IS 'once'; CREATE INDEX of_text ON uneven (md5(t)); COMMENT ON INDEX of_text IS 'text';
CREATE TABLE ones (i int REFERENCES uneven (i)); CREATE STATISTICS both_ways ON i, t FROM uneven; ALTER INDEX of_text ALTER COLUMN 1 SET STATISTICS 77; ALTER TABLE uneven CLUSTER ON once;
CREATE INDEX ON cut (i); INSERT INTO cut SELECT i, 'x' FROM generate_series(1, 3000) i;
ALTER DATABASE shop SET work_mem = '77MB'; COMMENT ON DATABASE shop IS 'it''s the shop';
CREATE EVENT TRIGGER audit ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION audit();
`

// pgPartsOf dumps a database in parts, as a restore reads them.
func pgPartsOf(t testing.TB, p *Postgres, o SnapshotOptions) Parts {
	t.Helper()
	s, err := p.Snapshot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	archives, err := pgDumpParts(t, s)
	if err != nil {
		t.Fatal(err)
	}
	parts := Parts{Contents: Contents{Tables: s.Contents()}}
	for _, part := range s.Parts() {
		source := pgSource(archives[part.Name])
		if part.Definitions {
			parts.Schema = source
			continue
		}
		parts.Contents.Parts = append(parts.Contents.Parts, part.Name)
		parts.Data = append(parts.Data, PartSource{Name: part.Name, Source: source})
	}
	return parts
}

// pgSource is a part in memory.
func pgSource(archive []byte) Source {
	return func(ctx context.Context, use func(context.Context, io.Reader) error) error {
		return use(ctx, bytes.NewReader(archive))
	}
}

// TestPostgresRestoreParts restores the parts of a database with what tools
// stumble over, both ways: the copy is the database.
func TestPostgresRestoreParts(t *testing.T) {
	t.Parallel()
	pgServers(t, func(t *testing.T, server *dbtest.Server, tools func(*Postgres)) {
		if server.Version == "17" {
			server.Sample(t, "shop")
		} else {
			server.SQL(t, "postgres", "CREATE DATABASE shop")
		}
		server.SQL(t, "shop", strings.TrimSuffix(pgOdd, pgMark)+pgMore)
		parts := pgPartsOf(t, pgFor(t, server, "shop", tools), SnapshotOptions{Jobs: 8, Large: 1 << 15})
		if len(parts.Data) < 3 {
			t.Errorf("%d parts of data only", len(parts.Data))
		}
		original := server.PlainDump(t, "shop")
		same := func(t *testing.T, name string) {
			t.Helper()
			if got := server.PlainDump(t, name); got != original {
				t.Errorf("the copy is %d bytes, the database %d; the first difference: %s", len(got), len(original), firstDifference(got, original))
			}
		}
		t.Run("into a new database", func(t *testing.T) {
			t.Parallel()
			if err := pgFor(t, server, "new", tools).RestoreParts(t.Context(), parts, 2, RestoreOptions{Create: true}); err != nil {
				t.Fatal(err)
			}
			same(t, "new")
			if got := server.SQL(t, "new", settingsSQL); !strings.Contains(got, "77MB") || !strings.Contains(got, "it's the shop") {
				t.Errorf("its settings are %s", got)
			}
		})
		t.Run("into one that is there", func(t *testing.T) {
			t.Parallel()
			pgExec(t, server, "postgres", "CREATE DATABASE old")
			p := pgFor(t, server, "old", tools)
			if err := p.RestoreParts(t.Context(), parts, 2, RestoreOptions{}); err != nil {
				t.Fatal(err)
			}
			same(t, "old")
			pgExec(t, server, "old", "DROP EVENT TRIGGER audit; CREATE TABLE later (); CREATE EVENT TRIGGER audit ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION audit()")
			err := p.RestoreParts(t.Context(), parts, 2, RestoreOptions{})
			wantError(t, err, "nothing was changed")
			pgExec(t, server, "old", "DROP EVENT TRIGGER audit; DROP TABLE later")
			if err := p.RestoreParts(t.Context(), parts, 2, RestoreOptions{Clean: true}); err != nil {
				t.Fatal(err)
			}
			same(t, "old")
		})
	})
}

// TestPostgresRestorePartsFails causes what may go wrong: each is named, and
// leaves nothing.
func TestPostgresRestorePartsFails(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t, "autovacuum=off")
	pgExec(t, s, "postgres", "CREATE DATABASE shop")
	pgExec(t, s, "shop", `CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 5000) i; CREATE TABLE b AS SELECT * FROM a; CREATE TABLE c AS SELECT 1 AS i;
		SELECT lo_from_bytea(77, '\x00ff'); CREATE UNIQUE INDEX ON a (i)`)
	pgExec(t, s, "postgres", "CREATE DATABASE target")
	parts := pgPartsOf(t, pgFor(t, s, "shop"), SnapshotOptions{Jobs: 4, Large: 100 << 10})
	if len(parts.Data) != 3 {
		t.Fatalf("%d parts", len(parts.Data))
	}
	archive := func(t *testing.T, from Source) (all []byte) {
		t.Helper()
		err := from(t.Context(), func(_ context.Context, r io.Reader) (err error) { all, err = io.ReadAll(r); return err })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	broken := errors.New("the stream broke")
	for name, test := range map[string]struct {
		spoil func(t *testing.T, parts *Parts)
		tools string
		words []string
	}{
		"a part is cut": {func(t *testing.T, parts *Parts) {
			whole := archive(t, parts.Data[1].Source)
			parts.Data[1].Source = pgSource(whole[:len(whole)-100])
		}, "", []string{"restoring the part " + parts.Data[1].Name, "not complete"}},
		"a part breaks": {func(t *testing.T, parts *Parts) {
			whole := archive(t, parts.Data[0].Source)
			parts.Data[0].Source = func(ctx context.Context, use func(context.Context, io.Reader) error) error {
				return use(ctx, io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), errReader{broken}))
			}
		}, "", []string{"restoring the part " + parts.Data[0].Name, "the stream broke"}},
		"the definitions are cut": {func(t *testing.T, parts *Parts) {
			whole := archive(t, parts.Schema)
			parts.Schema = pgSource(whole[:len(whole)-10])
		}, "", []string{"reading the definitions", "not complete"}},
		"a part is missing": {
			func(_ *testing.T, parts *Parts) { parts.Data = parts.Data[1:] }, "",
			[]string{"names the part " + parts.Data[0].Name + ", which is not there"},
		},
		"parts are exchanged": {func(_ *testing.T, parts *Parts) {
			parts.Data[0].Source, parts.Data[1].Source = parts.Data[1].Source, parts.Data[0].Source
		}, "", []string{"what came back is not what was backed up", "is not in its part"}},
		"a count differs": {
			func(_ *testing.T, parts *Parts) { parts.Contents.Tables[1].Rows++ }, "",
			[]string{"what came back is not what was backed up: the table public.b has 5000 rows instead of 5001"},
		},
		"a table is in no part": {func(_ *testing.T, parts *Parts) {
			parts.Contents.Tables = append(parts.Contents.Tables, TableContent{Schema: "public", Table: "Gone", Part: "data"})
		}, "", []string{`the table public."Gone" is not in its part data`}},
		"a table is not in the list": {
			func(_ *testing.T, parts *Parts) { parts.Contents.Tables = parts.Contents.Tables[:2] }, "",
			[]string{"the part data has the table public.c, which the list of tables does not have"},
		},
		"a pg_restore is killed": {
			func(*testing.T, *Parts) {}, `case "$*" in *section=data*) head -c 100000 > /dev/null; kill -9 $$;; esac; exec REAL "$@"`,
			[]string{"restoring the part ", "killed by signal 9"},
		},
		"what comes after the data fails": {func(t *testing.T, parts *Parts) {
			pgExec(t, s, "shop", "INSERT INTO a SELECT 1, 'twice'")
			twice := pgPartsOf(t, pgFor(t, s, "shop"), SnapshotOptions{Jobs: 4, Large: 100 << 10})
			parts.Data, parts.Contents = twice.Data, twice.Contents
		}, "", []string{"could not create unique index"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "what comes after the data fails" {
				pgExec(t, s, "shop", "DROP INDEX a_i_idx")
			}
			spoilt := parts
			spoilt.Data, spoilt.Contents.Tables = append([]PartSource(nil), parts.Data...), append([]TableContent(nil), parts.Contents.Tables...)
			test.spoil(t, &spoilt)
			var tools []func(*Postgres)
			if test.tools != "" {
				dir := script(t, "pg_restore", realPgRestore, test.tools)
				if err := os.Symlink(filepath.Join(filepath.Dir(realPgRestore), "psql"), filepath.Join(dir, "psql")); err != nil {
					t.Fatal(err)
				}
				tools = append(tools, withTools(dir))
			}
			p := pgFor(t, s, "new", tools...)
			wantError(t, p.RestoreParts(t.Context(), spoilt, 2, RestoreOptions{Create: true}), test.words...)
			if state, err := p.State(t.Context()); err != nil || state.Exists {
				t.Errorf("the new database is %+v, %v", state, err)
			}
			p = pgFor(t, s, "target", tools...)
			wantError(t, p.RestoreParts(t.Context(), spoilt, 2, RestoreOptions{}), test.words...)
			if state, err := p.State(t.Context()); err != nil || state.Objects != 0 {
				t.Errorf("the target is %+v, %v", state, err)
			}
		})
	}
}
