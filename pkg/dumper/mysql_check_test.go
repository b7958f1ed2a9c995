package dumper

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// Each obstacle is named, with a fix; and the dump fails on it for real, or
// would leave something out: what the fix is for.
func testMySQLObstacles(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE checked CHARACTER SET utf8mb4")
	s.SQL(t, "checked", "CREATE TABLE a (i int); CREATE TABLE b (i int, j int); CREATE VIEW v AS SELECT i FROM a; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1; "+
		"CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1")
	all := []string{"SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE"}
	for _, lacking := range append(all, "nothing", "body") {
		user := "u_" + strings.ReplaceAll(strings.ToLower(lacking), " ", "_")
		s.SQL(t, "", "CREATE USER "+user+"@'%' IDENTIFIED BY 'pass-x'")
		for _, p := range all {
			if p != lacking {
				s.SQL(t, "", "GRANT "+p+" ON checked.* TO "+user+"@'%'")
			}
		}
		if lacking == "SELECT" {
			s.SQL(t, "", "GRANT SELECT ON checked.a TO "+user+"@'%'; GRANT SELECT (i) ON checked.b TO "+user+"@'%'")
		}
		if lacking != "body" { // the right to see it
			s.SQL(t, "", "GRANT "+map[string]string{"mariadb": "SELECT ON mysql.proc", "mysql": "SHOW_ROUTINE ON *.*"}[s.Engine]+" TO "+user+"@'%'")
		}
		if lacking == "EXECUTE" {
			s.SQL(t, "", "REVOKE "+map[string]string{"mariadb": "SELECT ON mysql.proc", "mysql": "SHOW_ROUTINE ON *.*"}[s.Engine]+" FROM "+user+"@'%'")
		}
		m := mysqlFor(t, s, "checked", as(s, user, "pass-x"))
		checkObstacle(t, m, s, lacking)
	}
}

func checkObstacle(t *testing.T, m *MySQL, s *dbtest.Server, lacking string) {
	t.Helper()
	found, err := m.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fails := slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Level != Fail })
	err = m.Dump(t.Context(), io.Discard)
	if lacking == "nothing" {
		if len(fails) > 0 || err != nil {
			t.Errorf("without an obstacle: %v, %v", fails, err)
		}
		return
	}
	if len(fails) == 0 || err == nil {
		t.Fatalf("lacking %s: found %v, the dump says %v", lacking, fails, err)
	}
	fixed := false
	for _, f := range fails {
		t.Logf("lacking %s: %s: %s: %s", lacking, f.Subject, f.Message, f.Fix)
		if strings.HasPrefix(f.Fix, "GRANT ") {
			s.SQL(t, "", f.Fix)
			fixed = true
		}
	}
	if !fixed {
		t.Errorf("lacking %s: no GRANT is named", lacking)
	}
	if err := m.Dump(t.Context(), io.Discard); err != nil {
		t.Errorf("lacking %s: after the GRANT: %v", lacking, err)
	}
}

func testMySQLCheckNames(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE names CHARACTER SET utf8mb4")
	s.SQL(t, "names", "CREATE TABLE gone (i int); CREATE VIEW `bad ``view` AS SELECT i FROM gone; DROP TABLE gone; "+
		"CREATE TABLE old (i int) ENGINE=MyISAM; CREATE TABLE `mem$` (i int) ENGINE=MEMORY; CREATE TABLE smile (f enum('a', '😀')) DEFAULT CHARSET utf8mb4")
	m := mysqlFor(t, s, "names", mysqlOptions("--skip-events", "--ignore-table=names.x"))
	found, err := m.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Level{
		"connection": OK, "tool": OK, "rights": OK, "view bad `view": Fail, "table old": Warn, "table mem$": Warn,
		"column smile.f": Warn, "max_allowed_packet": OK, "net_write_timeout": map[string]Level{"mariadb": Warn, "mysql": OK}[s.Engine],
	}
	options := 0
	for _, f := range found {
		if f.Subject == "dumper options" && f.Level == Warn {
			options++
			continue
		}
		if want[f.Subject] != f.Level {
			t.Errorf("%+v, want %q", f, want[f.Subject])
		}
		delete(want, f.Subject)
	}
	if len(want) > 0 || options != 2 {
		t.Errorf("not found: %v; %d findings on options", want, options)
	}
	wantMySQLError(t, m.Dump(t.Context(), io.Discard), "bad `view", "1356", "repair it")
}

func TestMySQLCheckWithoutServer(t *testing.T) {
	m := NewMySQL(Connection{Host: "/nonexistent/s.sock", Username: "u", Password: "hunter2", Database: "d"}, mysqlLimits, Tools{}, nil)
	found, err := m.Check(t.Context())
	if err != nil || len(found) != 1 || found[0].Level != Fail || found[0].Subject != "connection" {
		t.Errorf("%v, %v", found, err)
	}
}
