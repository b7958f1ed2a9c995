package dumper

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// obstacles are what keeps a backup role from dumping a database, one by one.
var obstacles = []struct {
	name    string
	setup   string
	grant   string // for the role "b up", besides USAGE on public
	subject string // of the finding; "" if a dump works
	every   bool   // on every server, not on one only
}{
	{"nothing in the way", "CREATE TABLE t AS SELECT 1 AS i; CREATE SEQUENCE s", `pg_read_all_data TO`, "", true},
	{"an unreadable table", `CREATE TABLE "T 1" ()`, "", `table public."T 1"`, true},
	{"a column's grant is not enough", "CREATE TABLE t (a int, b int)", "SELECT (a, b) ON t TO", "table public.t", false},
	{"a partition", "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t DEFAULT", "SELECT ON t TO", "table public.t1", false},
	{"a partitioned table", "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t DEFAULT", "SELECT ON t1 TO", "table public.t", false},
	{"a sequence", "CREATE SEQUENCE s", "USAGE ON SEQUENCE s TO", "sequence public.s", true},
	{"an identity's sequence", "CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY)", "SELECT ON t TO", "sequence public.t_i_seq", true},
	{"a schema", `CREATE SCHEMA "S"; CREATE TABLE "S".t (); GRANT SELECT ON "S".t TO "b up"`, "", `schema "S"`, true},
	{"an empty schema", `CREATE SCHEMA closed`, "", "", false},
	{"a view", "CREATE VIEW v AS SELECT 1 AS i", "", "", false},
	{"a materialized view", "CREATE MATERIALIZED VIEW v AS SELECT 1 AS i", "", "", false},
	{"a large object", "SELECT lo_from_bytea(77, 'hello')", "", "large object 77", false},
	{"a large object, all else readable", "SELECT lo_from_bytea(78, 'hello')", "pg_read_all_data TO", "large object 78", true},
	{"a large object for all", "SELECT lo_from_bytea(77, 'hello'); GRANT SELECT ON LARGE OBJECT 77 TO PUBLIC", "", "", false},
	{"a policy", "CREATE TABLE t (i int); ALTER TABLE t ENABLE ROW LEVEL SECURITY", "pg_read_all_data TO", "table public.t", true},
	{"its own forced policy", `CREATE TABLE t (i int); ALTER TABLE t OWNER TO "b up"; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY`, "", "table public.t", false},
	{"an own policy", `CREATE TABLE t (i int); ALTER TABLE t OWNER TO "b up"; ALTER TABLE t ENABLE ROW LEVEL SECURITY`, "", "", false},
	{"an extension's table", "CREATE TABLE t (i int); ALTER EXTENSION plpgsql ADD TABLE t", "", "", true},
	{"an extension's table with a policy", "CREATE TABLE t (i int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY x ON t USING (true); ALTER EXTENSION plpgsql ADD TABLE t", "", "", false},
	{"an extension's configuration", "CREATE TABLE t (i int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER EXTENSION plpgsql ADD TABLE t; UPDATE pg_extension SET extconfig = ARRAY['t'::regclass], extcondition = '{\"\"}'", "SELECT ON t TO", "table public.t", true},
	{"an extension's sequence", "CREATE SEQUENCE s; ALTER EXTENSION plpgsql ADD SEQUENCE s", "", "", false},
	{"an unlogged table", "CREATE UNLOGGED TABLE t (i int)", "", "table public.t", false},
	{"a foreign table", "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER r FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE t (i int) SERVER r", "", "", false},
}

// TestPostgresCheckIsRight holds Check against pg_dump itself: what it names makes
// a dump fail, and the statement that it gives mends it.
func TestPostgresCheckIsRight(t *testing.T) {
	t.Parallel()
	pgServers(t, func(t *testing.T, s *dbtest.Server, tools func(*Postgres)) {
		pgExec(t, s, "postgres", `CREATE ROLE "b up" LOGIN`)
		for i, o := range obstacles {
			if !o.every && s.Version != "15" {
				continue
			}
			t.Run(o.name, func(t *testing.T) {
				db := fmt.Sprintf("db%d", i)
				pgExec(t, s, "postgres", "CREATE DATABASE "+db)
				pgExec(t, s, db, o.setup)
				defer pgExec(t, s, "postgres", `REVOKE pg_read_all_data FROM "b up"; ALTER ROLE "b up" NOBYPASSRLS`)
				if o.grant != "" {
					pgExec(t, s, db, "GRANT "+o.grant+` "b up"`)
				}
				p := pgFor(t, s, db, tools, asUser("b up"))
				fix := holdAgainst(t, p, o.subject)
				if fix != "" {
					pgExec(t, s, db, fix)
					holdAgainst(t, p, "")
				}
			})
		}
	})
}

// holdAgainst runs Check and a dump, which must both find the subject, or none.
func holdAgainst(t *testing.T, p *Postgres, subject string) (fix string) {
	t.Helper()
	findings, err := p.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var fails []Finding
	for _, f := range findings {
		if f.Level == Fail {
			fails = append(fails, f)
		}
	}
	dumpErr := p.Dump(context.Background(), io.Discard)
	switch {
	case subject == "" && (len(fails) > 0 || dumpErr != nil):
		t.Fatalf("nothing should be wrong: %+v; pg_dump: %v", fails, dumpErr)
	case subject == "":
		return ""
	case len(fails) != 1 || fails[0].Subject != subject:
		t.Fatalf("want %q to fail, found %+v; pg_dump: %v", subject, fails, dumpErr)
	case dumpErr == nil:
		t.Fatalf("%+v, but pg_dump works", fails)
	}
	words := strings.Fields(subject) // the dump's own error names it, too
	wantError(t, dumpErr, strings.Trim(words[len(words)-1][strings.LastIndex(words[len(words)-1], ".")+1:], `"`), "what to do")
	return fails[0].Fix
}
