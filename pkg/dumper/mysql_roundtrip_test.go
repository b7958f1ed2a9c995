package dumper

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func testMySQLRoundTrip(t *testing.T, s *dbtest.Server) {
	s.Sample(t, "shop")
	before := s.PlainDump(t, "shop")
	m := mysqlFor(t, s, "shop")
	dump := mysqlDump(t, m)
	globals, note := mysqlGlobalsOf(t, m)
	if !strings.Contains(note, "as hashes") {
		t.Errorf("the note is %q", note)
	}

	for _, name := range []string{"shop", "we ird$ `é-db"} {
		to := mysqlFor(t, s, name)
		if name == "shop" {
			s.SQL(t, "", "DROP DATABASE shop")
		}
		if err := to.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true, Globals: globals}); err != nil {
			t.Fatal(err)
		}
		after := strings.ReplaceAll(s.PlainDump(t, name), "database '"+name+"'", "database 'shop'")
		if before != after {
			t.Errorf("restored to %q it differs: %.2000s", name, cmp.Diff(before, after))
		}
		if again := mysqlDump(t, to); len(again) == 0 {
			t.Error("an empty dump")
		}
		if got := s.SQL(t, "", "SHOW GRANTS FOR 'we ird''user'@'%'"); !strings.Contains(got, quoteMySQLName(name)+".`customer`") {
			t.Errorf("the grant on a table did not come back: %s", got)
		}
	}
}

// A routine that was made under another character set than the database has now
// comes with ALTER DATABASE in the dump: it must alter the target alone.
func testMySQLRestoreDoesNotAlterOtherDatabase(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE src CHARACTER SET latin1")
	s.SQL(t, "src", "CREATE TABLE t (i int); CREATE PROCEDURE p() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1; "+
		"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 1; ALTER DATABASE src CHARACTER SET utf8mb4")
	before := s.PlainDump(t, "src")
	m := mysqlFor(t, s, "src")
	dump := mysqlDump(t, m)
	globals, _ := mysqlGlobalsOf(t, m)
	s.SQL(t, "", "ALTER DATABASE src CHARACTER SET ascii")
	to := mysqlFor(t, s, "copy")
	if err := to.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true, Globals: globals}); err != nil {
		t.Fatal(err)
	}
	if got := s.SQL(t, "src", "SELECT @@character_set_database"); got != "ascii" {
		t.Errorf("the restore altered the database that was dumped: %s", got)
	}
	if after := strings.NewReplacer("`copy`", "`src`", "'copy'", "'src'").Replace(s.PlainDump(t, "copy")); after != before {
		t.Errorf("it differs: %s", cmp.Diff(before, after))
	}
}

// What MariaDB's newer programs write can be restored by MySQL's client, and
// comments within routines stay.
func testMySQLCrossRestore(t *testing.T, oracle *dbtest.Server) {
	if oracle.Engine != "mysql" {
		return // it is MySQL that is restored to
	}
	maria := dbtest.MariaDB(t)
	maria.SQL(t, "", "CREATE DATABASE a CHARACTER SET utf8mb4")
	maria.SQL(t, "a", "CREATE TABLE t (i int PRIMARY KEY, s text) COLLATE utf8mb4_general_ci; INSERT INTO t VALUES (1, 'é😀'), (2, '\\r\\n\\0\\\\')")
	dump := mysqlDump(t, mysqlFor(t, maria, "a"))
	if !bytes.Contains(dump[:64], []byte(`999999\- enable the sandbox mode`)) {
		t.Errorf("MariaDB's program has no sandbox line any more: %q", dump[:64])
	}
	if err := mysqlFor(t, oracle, "cross_a").Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	const all = "SELECT i, HEX(s) FROM t"
	if got, want := oracle.SQL(t, "cross_a", all), maria.SQL(t, "a", all); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// MariaDB's own client on MySQL's server.
	m := mysqlFor(t, oracle, "cross_b")
	m.tools.Path = nil
	if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := oracle.SQL(t, "cross_b", all), maria.SQL(t, "a", all); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A server that is newer than the programs installed here is refused, and works
// with its own.
func TestMySQLNewerServer(t *testing.T) {
	t.Parallel()
	s := dbtest.MariaDBFrom(t, dbtest.Chroot(t, "trixie"))
	s.SQL(t, "", "CREATE DATABASE new CHARACTER SET utf8mb4; CREATE USER app@'%' IDENTIFIED BY 'p#w'; GRANT ALL ON *.* TO app@'%'")
	s.SQL(t, "new", "CREATE TABLE t (i int PRIMARY KEY, s text); INSERT INTO t VALUES (1, 'é😀'); CREATE SEQUENCE q; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1")
	before := s.PlainDump(t, "new")
	wantMySQLError(t, mysqlFor(t, s, "new").Dump(t.Context(), io.Discard), "MariaDB 11.", "/usr/bin/", "mariadb-client")

	own := func(m *MySQL) { m.tools.Path = []string{s.Wrappers(t, "mariadb-dump", "mariadb")} }
	for _, change := range []func(*MySQL){func(*MySQL) {}, as(s, "app", "p#w")} {
		m := mysqlFor(t, s, "new", own, change)
		dump := mysqlDump(t, m)
		if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Clean: true}); err != nil {
			t.Fatal(err)
		}
		if after := s.PlainDump(t, "new"); after != before {
			t.Errorf("it differs: %s", cmp.Diff(before, after))
		}
	}
}
