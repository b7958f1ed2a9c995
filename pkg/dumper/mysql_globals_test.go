package dumper

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// Accounts come back: without login, or as they were; with their rights on the
// database under its new name.
func testMySQLGlobals(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE gl_1 CHARACTER SET latin1 COLLATE latin1_german1_ci; CREATE DATABASE gl_x")
	s.SQL(t, "gl_1", "CREATE TABLE a (i int, j int); CREATE PROCEDURE p() SELECT 1")
	s.SQL(t, "", "CREATE ROLE gl_role; CREATE USER gl_app@'%' IDENTIFIED BY 'app#1', 'gl o''dd'@'10.0.0.0/255.0.0.0' IDENTIFIED BY 'pass-x', gl_member@'%' IDENTIFIED BY 'm', gl_other@'%', gl_def@localhost;"+
		"GRANT SELECT, INSERT ON gl_1.* TO gl_app@'%' WITH GRANT OPTION; GRANT PROCESS ON *.* TO gl_app@'%'; GRANT SELECT (i), UPDATE (j) ON gl_1.a TO 'gl o''dd'@'10.0.0.0/255.0.0.0';"+
		"GRANT EXECUTE ON PROCEDURE gl_1.p TO gl_app@'%'; GRANT DELETE ON gl_1.* TO gl_role; GRANT gl_role TO gl_member@'%'; GRANT SELECT ON gl_x.* TO gl_other@'%'")
	s.SQL(t, "", "GRANT SELECT ON gl_1.a TO gl_def@localhost") // without it, MariaDB writes the database's name into the view
	s.SQL(t, "gl_1", "CREATE DEFINER=gl_def@localhost VIEW v AS SELECT * FROM a")
	m := mysqlFor(t, s, "gl_1")
	file, note := mysqlGlobalsOf(t, m)
	if !strings.Contains(note, "hashes") {
		t.Errorf("the note is %q", note)
	}
	role := map[string]string{"mariadb": "gl_role", "mysql": "gl_role@%"}[s.Engine]
	want := []string{"gl o'dd@10.0.0.0/255.0.0.0", "gl_app@%", "gl_def@localhost", "gl_member@%", role}
	dump := mysqlDump(t, m)
	s.SQL(t, "", "DROP DATABASE gl_1; DROP USER gl_app@'%', 'gl o''dd'@'10.0.0.0/255.0.0.0', gl_member@'%', gl_other@'%', gl_def@localhost; DROP ROLE gl_role")

	to := mysqlFor(t, s, "gl_2")
	missing, err := to.MissingRoles(t.Context(), bytes.NewReader(file))
	slices.Sort(missing)
	if diff := cmp.Diff(want, missing); err != nil || diff != "" {
		t.Fatalf("missing: %s, %v", diff, err)
	}
	if err := to.CreateRoles(t.Context(), bytes.NewReader(file), []string{"gl_app@%"}, RolesNoLogin); err != nil {
		t.Fatal(err)
	}
	app := mysqlFor(t, s, "", as(s, "gl_app", "app#1"))
	if _, err := app.open(t.Context(), ""); err == nil {
		t.Error("the account may log in")
	}
	s.SQL(t, "", "DROP USER gl_app@'%'")
	if err := to.CreateRoles(t.Context(), bytes.NewReader(file), missing, RolesFull); err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true, Globals: file}); err != nil {
		t.Fatal(err)
	}
	if got := s.SQL(t, "gl_2", "SELECT @@collation_database"); got != "latin1_german1_ci" {
		t.Errorf("the collation is %s", got)
	}
	c, err := app.open(t.Context(), "gl_2")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	grants, err := c.column(t.Context(), "SHOW GRANTS")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(grants, "\n")
	for _, g := range []string{"PROCESS", "SELECT, INSERT ON `gl\\_2`.*", "EXECUTE ON PROCEDURE `gl_2`.`p`", "WITH GRANT OPTION"} {
		if !strings.Contains(all, g) {
			t.Errorf("no %q in:\n%s", g, all)
		}
	}
	if got := s.SQL(t, "", "SHOW GRANTS FOR 'gl o''dd'@'10.0.0.0/255.0.0.0'"); !strings.Contains(got, "`gl_2`.`a`") || !strings.Contains(got, "UPDATE (`j`)") {
		t.Errorf("grants on columns: %s", got)
	}
	if got := s.SQL(t, "", "SHOW GRANTS FOR gl_member@'%'"); !strings.Contains(got, "`gl_role`") {
		t.Errorf("grants of roles: %s", got)
	}
	if strings.Contains(string(file), "gl_x") || strings.Contains(string(file), "app#1") {
		t.Errorf("the globals hold what they should not:\n%s", file)
	}
}

func testMySQLGlobalsWithoutRights(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE gr; CREATE USER gr@'%' IDENTIFIED BY 'pass-x'; GRANT ALL ON gr.* TO gr@'%'; CREATE USER gr_def@localhost")
	s.SQL(t, "gr", "CREATE DEFINER=gr_def@localhost VIEW v AS SELECT 1 AS one; CREATE DEFINER=gr@'%' VIEW w AS SELECT 1 AS one")
	m := mysqlFor(t, s, "gr", as(s, "gr", "pass-x"))
	file, note := mysqlGlobalsOf(t, m)
	for _, w := range []string{"not in the backup", "GRANT SELECT ON mysql.* TO 'gr'@'%'"} {
		if !strings.Contains(note, w) {
			t.Errorf("the note does not say %q: %s", w, note)
		}
	}
	s.SQL(t, "", "DROP USER gr_def@localhost")
	root := mysqlFor(t, s, "gr")
	missing, err := root.MissingRoles(t.Context(), bytes.NewReader(file))
	if err != nil || !slices.Equal(missing, []string{"gr_def@localhost"}) {
		t.Errorf("missing %v, %v", missing, err)
	}
	wantMySQLError(t, root.CreateRoles(t.Context(), bytes.NewReader(file), missing, RolesFull), "gr_def@localhost", "--globals")
	if err := root.CreateRoles(t.Context(), bytes.NewReader(file), missing, RolesNoLogin); err != nil {
		t.Error(err)
	}
	// One that may not see the server's accounts cannot tell.
	_, err = m.MissingRoles(t.Context(), bytes.NewReader(file))
	wantMySQLError(t, err, "--no-owner", "gr_def@localhost")
	for _, r := range []string{"-- dbacked globals 1: {", "SELECT 1;"} {
		_, err := m.MissingRoles(t.Context(), strings.NewReader(r))
		wantMySQLError(t, err, "globals")
	}
}

func TestMySQLGrants(t *testing.T) {
	for line, want := range map[string]mysqlGrant{
		"GRANT SELECT, SHOW VIEW ON `my\\_db`.* TO `u`@`%`":                                                {privileges: []string{"SELECT", "SHOW VIEW"}, database: `my\_db`, object: "*"},
		"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION":                              {privileges: []string{"ALL PRIVILEGES"}, database: "*", object: "*"},
		"GRANT SELECT (`i`, `ON`), UPDATE (`j`), INSERT ON `d``b`.`t ON x` TO `a``b`@`h`":                  {privileges: []string{"INSERT"}, database: "d`b", object: "t ON x"},
		"GRANT EXECUTE ON PROCEDURE `d`.`p` TO `u`@`h`":                                                    {privileges: []string{"EXECUTE"}, database: "d", object: "p", onRoutine: true},
		"GRANT EXECUTE ON PACKAGE BODY `d`.`p` TO `u`@`h`":                                                 {privileges: []string{"EXECUTE"}, database: "d", object: "p", onRoutine: true},
		"GRANT `r1`@`%`,`r2`@`%` TO `u`@`%` WITH ADMIN OPTION":                                             {privileges: nil, role: true},
		"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AEAD1477967B16F28227'": {privileges: []string{"USAGE"}, database: "*", object: "*"},
		"REVOKE SELECT ON `x`.* FROM `u`@`%`":                                                              {privileges: []string{"SELECT"}, database: "x", object: "*", revoke: true},
	} {
		got, err := parseMySQLGrant(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if strings.Contains(got.line[:got.end], "IDENTIFIED") || strings.Contains(got.line[:got.end], "OPTION") {
			t.Errorf("%s: it ends at %q", line, got.line[:got.end])
		}
		got.line, got.db, got.end = "", [2]int{}, 0
		if got.role {
			got.privileges = nil
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(mysqlGrant{})); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
	for _, line := range []string{"", "GRANT", "GRANT PROXY ON ''@'%' TO 'root'@'localhost'", "SET DEFAULT ROLE `r` FOR `u`@`%`", "GRANT SELECT ON", "GRANT SELECT ON `x`.* TO"} {
		if _, err := parseMySQLGrant(line); err == nil {
			t.Errorf("%q is a grant", line)
		}
	}
}

func TestMySQLRights(t *testing.T) {
	var grants []mysqlGrant
	for _, line := range []string{"GRANT SELECT, EVENT ON *.* TO u", "REVOKE SELECT ON `secret`.* FROM u", "GRANT TRIGGER ON `s%`.* TO u", `GRANT INSERT ON ` + "`a\\_b`.* TO u", "GRANT DELETE ON `secret`.`t` TO u"} {
		g, err := parseMySQLGrant(line)
		if err != nil {
			t.Fatal(err)
		}
		grants = append(grants, g)
	}
	for database, want := range map[string]string{"secret": "EVENT TRIGGER", "other": "EVENT SELECT", "a_b": "EVENT INSERT SELECT", "axb": "EVENT SELECT"} {
		var got []string
		for p := range rightsOn(grants, database, false) {
			got = append(got, p)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", database, got, want)
		}
	}
}

func FuzzMySQLGrant(f *testing.F) {
	f.Add("GRANT SELECT (`i`), SHOW VIEW ON `my\\_db`.`x` TO `u`@`%` WITH GRANT OPTION")
	f.Add("REVOKE SELECT ON *.* FROM `u`")
	f.Fuzz(func(t *testing.T, line string) {
		g, err := parseMySQLGrant(line)
		if err != nil {
			return
		}
		if g.end > len(line) || g.db[0] > g.db[1] || g.db[1] > len(line) {
			t.Fatalf("%+v", g)
		}
		g.touches("x", false)
		if _, err := retarget(line, "x", "y"); err != nil {
			t.Fatal(err)
		}
	})
}
