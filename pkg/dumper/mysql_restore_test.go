package dumper

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// fails is a reader that gives data and then an error.
func fails(data []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(err))
}

// A stream that ends early is never taken for a whole one, however it ends.
func testMySQLCutRestore(t *testing.T, s *dbtest.Server) {
	numbered(t, s, "cut", 5000)
	dump := mysqlDump(t, mysqlFor(t, s, "cut"))
	cause := errors.New("the storage failed")
	rows := bytes.Index(dump, []byte("INSERT INTO")) + 300_000
	statement := bytes.Index(dump, []byte("UNLOCK TABLES"))
	for what, r := range map[string]io.Reader{
		"error within rows":       fails(dump[:rows], cause),
		"error after a statement": fails(dump[:statement], cause),
		"error at the very end":   fails(dump, cause),
		"end within rows":         bytes.NewReader(dump[:rows]),
		"end after a statement":   bytes.NewReader(dump[:statement]),
		"end before the line":     bytes.NewReader(dump[:len(dump)-60]),
		"last byte missing":       bytes.NewReader(dump[:len(dump)-1]),
	} {
		to := mysqlFor(t, s, "cut_target")
		err := to.Restore(t.Context(), r, RestoreOptions{Create: true})
		if strings.HasPrefix(what, "error") != errors.Is(err, cause) || strings.HasPrefix(what, "error") == errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: %v", what, err)
		}
		wantMySQLError(t, err, "nothing was restored", "dropped again")
		if st, err := to.State(t.Context()); err != nil || st.Exists {
			t.Errorf("%s: it left %+v, %v", what, st, err)
		}
	}
	s.SQL(t, "", "CREATE DATABASE cut_into")
	to := mysqlFor(t, s, "cut_into")
	err := to.Restore(t.Context(), fails(dump[:statement], cause), RestoreOptions{})
	wantMySQLError(t, err, `"cut_into" is incomplete`, "--force", cause.Error())
	if err := to.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Clean: true}); err != nil {
		t.Fatal(err)
	}
	if got := s.SQL(t, "cut_into", "SELECT COUNT(*) FROM t"); got != "5000" {
		t.Errorf("%s rows", got)
	}
}

// The first statement that fails ends the restore.
func testMySQLFailedRestore(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE bad")
	s.SQL(t, "bad", "CREATE TABLE a (i int); INSERT INTO a VALUES (777888)")
	dump := string(mysqlDump(t, mysqlFor(t, s, "bad")))
	to := mysqlFor(t, s, "bad_target")
	for _, c := range []struct{ what, old, new, word string }{
		{"a wrong statement", "LOCK TABLES `a` WRITE;", "LOCK TABLES `a` NONSENSE;", "ERROR 1064"},
		{"a command of the client", "LOCK TABLES `a` WRITE;", "\\! touch /tmp/dbacked-should-not-be\n", "ERROR"},
		{"a row twice", "CREATE TABLE `a` (", "CREATE TABLE `a` (k int NOT NULL,", "ERROR 1136"},
		{"a collation of another brand", "DEFAULT CHARSET", "COLLATE nowhere_ci DEFAULT CHARSET", "ERROR 1273"},
	} {
		changed := strings.Replace(dump, c.old, c.new, 1)
		if changed == dump {
			t.Fatalf("%s: nothing to change in %s", c.what, dump)
		}
		err := to.Restore(t.Context(), strings.NewReader(changed), RestoreOptions{Create: true})
		wantMySQLError(t, err, c.word, "dropped again")
		if err != nil && strings.Contains(err.Error(), "777888") {
			t.Errorf("%s: the error shows a row: %v", c.what, err)
		}
	}
	// The client is killed, or ends before all is read.
	for script, word := range map[string]string{"kill -KILL $$": "signal 9", "exit 0": "before it had read"} {
		large := strings.Replace(dump, "INSERT INTO", "-- "+strings.Repeat("x", 4<<20)+"\nINSERT INTO", 1)
		m := mysqlFor(t, s, "bad_target", mysqlScript(t, clientProgram(s), script))
		wantMySQLError(t, m.Restore(t.Context(), strings.NewReader(large), RestoreOptions{Create: true}), word)
	}
	// A row that the server's max_allowed_packet does not let in.
	was := s.SQL(t, "", "SELECT @@global.max_allowed_packet")
	defer s.SQL(t, "", "SET GLOBAL max_allowed_packet = "+was)
	s.SQL(t, "bad", "CREATE TABLE big (x longtext); INSERT INTO big VALUES (repeat('x', 3000000))")
	dump = string(mysqlDump(t, mysqlFor(t, s, "bad")))
	s.SQL(t, "", "SET GLOBAL max_allowed_packet = 2000896")
	wantMySQLError(t, to.Restore(t.Context(), strings.NewReader(dump), RestoreOptions{Create: true}), "max_allowed_packet", "dropped again")
}

// What cannot go well does not begin.
func testMySQLRefusedRestore(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE full")
	s.SQL(t, "full", "CREATE TABLE mine (i int)")
	dump := mysqlDump(t, mysqlFor(t, s, "full"))
	for _, c := range []struct {
		what, database string
		data           []byte
		o              RestoreOptions
		words          []string
	}{
		{"not empty", "full", dump, RestoreOptions{}, []string{"not empty", "mine", "--force"}},
		{"exists", "full", dump, RestoreOptions{Create: true}, []string{"exists already"}},
		{"not there", "nowhere", dump, RestoreOptions{}, []string{"nowhere", "--create"}},
		{"PostgreSQL's", "nowhere", []byte("PGDMP\x01\x0e"), RestoreOptions{Create: true}, []string{"PostgreSQL archive"}},
		{"something else", "nowhere", []byte("CREATE TABLE x (i int);"), RestoreOptions{Create: true}, []string{"no dump of MySQL"}},
		{"nothing", "nowhere", nil, RestoreOptions{Create: true}, []string{"empty"}},
		{"wrong globals", "nowhere", dump, RestoreOptions{Create: true, Globals: []byte("--\n-- PostgreSQL database cluster dump\n")}, []string{"globals"}},
		{"several databases", "nowhere", bytes.Replace(dump, []byte("DROP TABLE"), []byte("USE `full`;\nDROP TABLE"), 1), RestoreOptions{Create: true}, []string{"several databases", "`full`"}},
	} {
		m := mysqlFor(t, s, c.database)
		err := m.Restore(t.Context(), bytes.NewReader(c.data), c.o)
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		wantMySQLError(t, err, c.words...)
		if st, err := m.State(t.Context()); err != nil || st.Exists != (c.database == "full") {
			t.Errorf("%s: it left %+v, %v", c.what, st, err)
		}
	}
}

// With Clean, what the dump holds is replaced, and the rest stays.
func testMySQLReplacingRestore(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE again")
	s.SQL(t, "again", "CREATE TABLE p (i int PRIMARY KEY); CREATE TABLE c (i int, FOREIGN KEY (i) REFERENCES p (i)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); "+
		"CREATE VIEW v AS SELECT * FROM c; CREATE PROCEDURE r() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1; CREATE TRIGGER tr BEFORE INSERT ON c FOR EACH ROW SET NEW.i = 1")
	before := s.PlainDump(t, "again")
	dump := mysqlDump(t, mysqlFor(t, s, "again"))
	s.SQL(t, "again", "INSERT INTO p VALUES (2); DROP TRIGGER tr; CREATE TABLE later (i int, FOREIGN KEY (i) REFERENCES p (i))")
	m := mysqlFor(t, s, "again")
	if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Clean: true}); err != nil {
		t.Fatal(err)
	}
	s.SQL(t, "again", "DROP TABLE later") // it stayed
	if after := s.PlainDump(t, "again"); after != before {
		t.Errorf("it differs: %s", after)
	}
}

// An account without rights over others restores with its own name as definer.
func testMySQLNoOwner(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE owned; CREATE DATABASE taken; CREATE USER old@'ho%st', plain@'%' IDENTIFIED BY 'pass-x'; GRANT ALL ON taken.* TO plain@'%'; GRANT ALL ON owned.* TO old@'ho%st'")
	s.SQL(t, "owned", "CREATE TABLE c (i int); CREATE DEFINER=old@'ho%st' VIEW v AS SELECT * FROM c; CREATE DEFINER=old@'ho%st' PROCEDURE r() SELECT 1;"+
		"CREATE DEFINER=old@'ho%st' EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1; CREATE DEFINER=old@'ho%st' TRIGGER tr BEFORE INSERT ON c FOR EACH ROW SET NEW.i = 1;"+
		"INSERT INTO c VALUES (1)")
	s.SQL(t, "", "SET GLOBAL log_bin_trust_function_creators = 1")
	dump := mysqlDump(t, mysqlFor(t, s, "owned"))
	m := mysqlFor(t, s, "taken", as(s, "plain", "pass-x"))
	wantMySQLError(t, m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{}), "1227", "--no-owner")
	if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Clean: true, NoOwner: true}); err != nil {
		t.Fatal(err)
	}
	got := s.SQL(t, "", "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'taken' UNION ALL SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'taken' "+
		"UNION ALL SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'taken' UNION ALL SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'taken'")
	if got != strings.TrimSpace(strings.Repeat("plain@%\n", 4)) {
		t.Errorf("the definers are %q", got)
	}
}

// A client that waits for the server is no stall; one that does nothing is.
func testMySQLRestoreBusy(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE busy")
	s.SQL(t, "busy", "CREATE TABLE a (i int); INSERT INTO a VALUES (1)")
	dump := mysqlDump(t, mysqlFor(t, s, "busy"))
	quick := func(m *MySQL) { m.limits.Stall = 2 * time.Second }
	slow := bytes.Replace(dump, []byte("LOCK TABLES `a` WRITE;"), []byte("SELECT SLEEP(5);\n-- "+strings.Repeat("x", 3<<20)+"\nLOCK TABLES `a` WRITE;"), 1)
	if err := mysqlFor(t, s, "busy", quick).Restore(t.Context(), bytes.NewReader(slow), RestoreOptions{Clean: true}); err != nil {
		t.Error(err)
	}
	m := mysqlFor(t, s, "busy", quick, mysqlScript(t, clientProgram(s), "exec sleep 1000"))
	err := m.Restore(t.Context(), bytes.NewReader(slow), RestoreOptions{Clean: true})
	var stall *StallError
	if !errors.As(err, &stall) {
		t.Errorf("got %v", err)
	}
}

func TestMySQLRewriter(t *testing.T) {
	const dump = "-- x\n/*!50013 DEFINER=`a``b`@`h` SQL SECURITY DEFINER */\n/*!50003 CREATE*/ /*!50017 DEFINER=`r`*/ /*!50003 TRIGGER t*/\n" +
		"/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`h`*/ /*!50106 EVENT*/\nCREATE DEFINER=`a`@`%` PROCEDURE p()\nALTER DATABASE `s``rc` CHARACTER SET x ;\n" +
		"INSERT INTO t VALUES ('/*!50013 DEFINER=`a`@`h`'),\n('CREATE DEFINER=`a`@`h`');\nCREATE TABLE u (\n\nAND\nUSE `x``y`;\n/"
	same := strings.Replace(dump, "`s``rc`", "`x``y`", 1)
	mine := strings.NewReplacer("=`a``b`@`h` SQL", "=CURRENT_USER SQL", "=`r`*", "=CURRENT_USER*", "DEFINER=`a`@`h`*/ /*!50106", "DEFINER=CURRENT_USER*/ /*!50106",
		"=`a`@`%`", "=CURRENT_USER").Replace(same)
	for _, c := range []struct {
		noOwner bool
		want    string
	}{{false, same}, {true, mine}} {
		for what, r := range map[string]io.Reader{"whole": strings.NewReader(dump), "bytes": iotest.OneByteReader(strings.NewReader(dump)), "with EOF": iotest.DataErrReader(strings.NewReader(dump))} {
			if err := iotest.TestReader(newMySQLRewriter(r, "x`y", c.noOwner), []byte(c.want)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	cause := errors.New("cause")
	if _, err := io.ReadAll(newMySQLRewriter(fails([]byte("CREATE"), cause), "x", true)); err == nil {
		t.Error("an error was lost")
	}
}

func FuzzMySQLRewriter(f *testing.F) {
	f.Add([]byte("-- MySQL dump 1\nCREATE DEFINER=`a`@`b` PROCEDURE\nALTER DATABASE `x` CHARACTER SET y"), true)
	f.Add([]byte("INSERT INTO t VALUES (1);\n/*!50013 DEFINER=`"), false)
	f.Fuzz(func(t *testing.T, data []byte, noOwner bool) {
		whole, err := io.ReadAll(newMySQLRewriter(bytes.NewReader(data), "x", noOwner))
		parts, err2 := io.ReadAll(newMySQLRewriter(iotest.HalfReader(bytes.NewReader(data)), "x", noOwner))
		if !bytes.Equal(whole, parts) || (err == nil) != (err2 == nil) {
			t.Fatalf("it depends on how the data come: %q, %q", whole, parts)
		}
		again, _ := io.ReadAll(newMySQLRewriter(bytes.NewReader(whole), "x", noOwner))
		if err == nil && !bytes.Equal(whole, again) {
			t.Fatalf("twice is not once: %q, %q", whole, again)
		}
	})
}
