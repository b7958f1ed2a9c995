package dumper

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// A view whose definer is gone, as after a move from another server, is dumped
// and comes back.
func testMySQLGoneDefiner(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE gone; CREATE USER going@localhost; GRANT ALL ON gone.* TO going@localhost")
	s.SQL(t, "gone", "CREATE TABLE t (i int); CREATE DEFINER=going@localhost VIEW v AS SELECT * FROM t; CREATE DEFINER=going@localhost PROCEDURE p() SELECT 1; "+
		"CREATE DEFINER=going@localhost TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 1; DROP USER going@localhost")
	before := s.PlainDump(t, "gone")
	m := mysqlFor(t, s, "gone")
	found, err := m.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Level == Fail {
			t.Errorf("%+v", f)
		}
	}
	dump := mysqlDump(t, m)
	globals, note := mysqlGlobalsOf(t, m)
	if !strings.Contains(note, "1 of the accounts") {
		t.Errorf("the note is %q", note)
	}
	if missing, err := m.MissingRoles(t.Context(), bytes.NewReader(globals)); err != nil || len(missing) != 1 || missing[0] != "going@localhost" {
		t.Errorf("missing %v, %v", missing, err)
	}
	s.SQL(t, "", "DROP DATABASE gone")
	if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{Create: true, Globals: globals}); err != nil {
		t.Fatal(err)
	}
	if after := s.PlainDump(t, "gone"); after != before {
		t.Errorf("it differs: %s", after)
	}
}

// What the first agents dumped is restored too.
func testMySQLLegacyDump(t *testing.T, s *dbtest.Server) {
	f, err := os.Open("../encryptor/testdata/vectors/legacy/mysql.dump")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = mysqlFor(t, s, "legacy").Restore(t.Context(), f, RestoreOptions{Create: true})
	if s.Engine == "mysql" { // MariaDB's sql_mode, around its trigger
		wantMySQLError(t, err, "1231", "brand and version")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := s.SQL(t, "legacy", "SELECT COUNT(*) > 0 FROM t"); got != "1" {
		t.Errorf("no rows: %s", got)
	}
}

// What a tool says though it ends well is not lost.
func testMySQLToolWarns(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE warns")
	core, logs := observer.New(zapcore.WarnLevel)
	m := mysqlFor(t, s, "warns", mysqlScript(t, dumpProgram(s), `echo "something odd" >&2; exec "$REAL" "$@"`))
	m.log = zap.New(core)
	if err := m.Dump(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if logs.FilterField(zap.String("stderr", "something odd")).Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
}
