package dumper

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
)

func TestMySQLGlobalsText(t *testing.T) {
	g := mysqlGlobals{Engine: "mysql", Server: "9.7.4", Database: "we ird`\n", Charset: "utf8mb4", Collation: "utf8mb4_bin", Accounts: []mysqlAccount{
		{User: "app", Host: "%", Create: "CREATE USER `app`@`%` IDENTIFIED WITH 'x' AS '\n'", Database: []string{"GRANT SELECT ON `d`.* TO `app`@`%`"}, Roles: []string{"GRANT `r` TO `app`@`%`"}},
		{User: "r", Create: "CREATE ROLE `r`", Global: []string{"GRANT PROCESS ON *.* TO `r`"}, Objects: []string{"GRANT SELECT ON `d`.`t` TO `r`"}},
		{User: "gone", Host: "h", Definer: true},
	}}
	text, err := g.text("a note")
	if err != nil {
		t.Fatal(err)
	}
	back, err := readMySQLGlobals(text)
	if diff := cmp.Diff(g, back); err != nil || diff != "" {
		t.Errorf("it is read back as %s, %v", diff, err)
	}
	order := []string{
		globalsMark, "-- a note", "CREATE DATABASE `we ird``", "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CREATE USER IF NOT EXISTS `app`", "CREATE ROLE IF NOT EXISTS `r`",
		"GRANT SELECT ON `d`.* TO", "GRANT `r` TO", "GRANT PROCESS ON *.* TO", "GRANT SELECT ON `d`.`t` TO",
	}
	sql := string(text)
	for at, last := 0, 0; at < len(order); at++ {
		i := strings.LastIndex(sql, order[at])
		if i < last {
			t.Errorf("%q is not in its place in\n%s", order[at], sql)
		}
		last = i
	}
	if g, err := readMySQLGlobals(nil); err != nil || len(g.Accounts) > 0 {
		t.Errorf("nothing gives %+v, %v", g, err)
	}
	cause := errors.New("cause")
	if _, err := readGlobalsFrom(iotest.ErrReader(cause)); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	_, err = readGlobalsFrom(strings.NewReader(strings.Repeat("x", globalsSize+1)))
	wantMySQLError(t, err, "larger than")
}

func TestMySQLCreateDatabase(t *testing.T) {
	for want, g := range map[string]mysqlGlobals{
		"CREATE DATABASE `n``m`": {},
		"CREATE DATABASE `n``m` CHARACTER SET latin1 COLLATE latin1_bin": {Charset: "latin1", Collation: "latin1_bin"},
		"CREATE DATABASE `n``m` ": {Charset: "latin1; DROP DATABASE x", Collation: "y"},
	} {
		if got := g.createDatabase("n`m"); got != strings.TrimSpace(want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What an account may do is sorted, and what is said of its password is not
// taken.
func TestMySQLAccountTakes(t *testing.T) {
	var a mysqlAccount
	for _, line := range []string{
		"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*HASH'",
		"GRANT PROCESS ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*HASH' WITH GRANT OPTION",
		"GRANT SELECT ON `shop`.* TO `u`@`%`",
		"GRANT SELECT ON `sh%`.* TO `u`@`%` WITH GRANT OPTION",
		"GRANT SELECT ON `other`.* TO `u`@`%`",
		"GRANT SELECT (`i`) ON `shop`.`t` TO `u`@`%`",
		"GRANT SELECT ON `other`.`t` TO `u`@`%`",
		"GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`%`",
		"GRANT `r` TO `u`@`%` WITH ADMIN OPTION",
		"SET DEFAULT ROLE `r` FOR `u`@`%`",
		"GRANT PROXY ON ''@'%' TO 'u'@'%'",
		"REVOKE SELECT ON `shop`.* FROM `u`@`%`",
	} {
		a.take(line, "shop", false)
	}
	want := mysqlAccount{
		Global:   []string{"GRANT PROCESS ON *.* TO `u`@`%` WITH GRANT OPTION"},
		Database: []string{"GRANT SELECT ON `shop`.* TO `u`@`%`", "GRANT SELECT ON `sh%`.* TO `u`@`%` WITH GRANT OPTION"},
		Objects:  []string{"GRANT SELECT (`i`) ON `shop`.`t` TO `u`@`%`", "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`%`"},
		Roles:    []string{"GRANT `r` TO `u`@`%` WITH ADMIN OPTION", "SET DEFAULT ROLE `r` FOR `u`@`%`"},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
}

func TestMySQLAccountCreation(t *testing.T) {
	user := mysqlAccount{User: "app", Host: "%", Create: "CREATE USER `app`@`%` X", Global: []string{"g"}, Database: []string{"d"}, Objects: []string{"o"}, Roles: []string{"r"}}
	if got, err := user.creation(RolesFull); err != nil || got != "CREATE USER IF NOT EXISTS `app`@`%` X" {
		t.Errorf("%q, %v", got, err)
	}
	one, err := user.creation(RolesNoLogin)
	if err != nil || !strings.HasPrefix(one, "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY '") || !strings.HasSuffix(one, "' ACCOUNT LOCK") {
		t.Errorf("%q, %v", one, err)
	}
	if two, _ := user.creation(RolesNoLogin); one == two {
		t.Error("the password is not random")
	}
	role := mysqlAccount{User: "ro`le"}
	if got, err := role.creation(RolesNoLogin); err != nil || got != "CREATE ROLE IF NOT EXISTS 'ro`le'" {
		t.Errorf("%q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"g", "r", "d"}, user.rights(RolesFull)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"d"}, user.rights(RolesNoLogin)); diff != "" {
		t.Error(diff)
	}
	hash := &mysql.MySQLError{Number: 1064, Message: "near '*HASH'"}
	if got := withoutStatement(hash); strings.Contains(got.Error(), "HASH") {
		t.Errorf("the error has the hash: %v", got)
	}
	if other := (&mysql.MySQLError{Number: 1227}); withoutStatement(other) != error(other) {
		t.Error("another error was changed")
	}
}

func TestMySQLRetarget(t *testing.T) {
	for _, c := range [][2]string{
		{"GRANT SELECT ON `a`.* TO `u`@`%`", "GRANT SELECT ON `b\\_c`.* TO `u`@`%`"},
		{"GRANT SELECT ON `a%`.* TO `u`@`%`", "GRANT SELECT ON `b\\_c`.* TO `u`@`%`"},
		{"GRANT SELECT ON `a`.`a` TO `a`@`a`", "GRANT SELECT ON `b_c`.`a` TO `a`@`a`"},
		{"GRANT EXECUTE ON FUNCTION `a`.`f` TO `u`@`%`", "GRANT EXECUTE ON FUNCTION `b_c`.`f` TO `u`@`%`"},
		{"GRANT SELECT ON *.* TO `u`@`%`", "GRANT SELECT ON *.* TO `u`@`%`"},
		{"GRANT `a` TO `u`@`%`", "GRANT `a` TO `u`@`%`"},
	} {
		if got, err := retarget(c[0], "a", "b_c"); err != nil || got != c[1] {
			t.Errorf("%s: %s, %v", c[0], got, err)
		}
	}
	if got, err := retarget("GRANT SELECT ON `a_b`.* TO `u`", "a_b", "a_b"); err != nil || got != "GRANT SELECT ON `a_b`.* TO `u`" {
		t.Errorf("%s, %v", got, err)
	}
	_, err := retarget("DROP TABLE x", "a", "b")
	wantMySQLError(t, err, "cannot be read")
}

func TestMySQLList(t *testing.T) {
	names := make([]string, checkLimit+7)
	got := list(names, func(string) Finding { return Finding{Level: Warn, Subject: "table"} })
	if len(got) != checkLimit+1 || got[checkLimit].Message != "and 7 more like it" || got[checkLimit].Level != Warn {
		t.Errorf("%d findings, the last %+v", len(got), got[len(got)-1])
	}
	if got := list(names[:2], func(string) Finding { return Finding{} }); len(got) != 2 {
		t.Errorf("%v", got)
	}
}
