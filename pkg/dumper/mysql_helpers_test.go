package dumper

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// mysqlLimits are short, so that a test that hangs ends.
var mysqlLimits = Limits{Connect: 20 * time.Second, Lock: 20 * time.Second, Stall: 30 * time.Second}

// mysqlFor is the dumper of a database on a test's server, as its root.
func mysqlFor(t testing.TB, s *dbtest.Server, database string, change ...func(*MySQL)) *MySQL {
	t.Helper()
	m := NewMySQL(Connection{Host: s.Socket, Username: s.User, Database: database}, mysqlLimits, Tools{}, zaptest.NewLogger(t))
	if s.Engine == "mysql" {
		m.tools.Path = []string{s.Wrappers(t, "mysqldump", "mysql")}
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// as connects as another user, over TCP.
func as(s *dbtest.Server, user, password string) func(*MySQL) {
	return func(m *MySQL) {
		m.conn.Host, m.conn.Port, m.conn.Username, m.conn.Password = "127.0.0.1", s.Port, user, password
	}
}

func mysqlOptions(options ...string) func(*MySQL) {
	return func(m *MySQL) { m.tools.Options = options }
}

// mysqlScript puts a shell script in the place of a program. It answers
// --version and --help as the real one does, which it can call as "$REAL".
func mysqlScript(t testing.TB, name, body string) func(*MySQL) {
	t.Helper()
	return func(m *MySQL) {
		real := "/usr/bin/" + name
		if len(m.tools.Path) > 0 {
			real = filepath.Join(m.tools.Path[0], name)
		}
		dir := t.TempDir()
		text := "#!/bin/sh\nREAL=" + real + "\ncase \"$2\" in --version|--help) exec $REAL \"$@\";; esac\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		m.tools.Path = append([]string{dir}, m.tools.Path...)
	}
}

func mysqlDump(t testing.TB, m *MySQL) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mysqlGlobalsOf(t testing.TB, m *MySQL) (file []byte, note string) {
	t.Helper()
	var b bytes.Buffer
	note, err := m.DumpGlobals(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), note
}

// TestMySQL runs on one server of each engine what does not harm it; each test
// has databases of its own.
func TestMySQL(t *testing.T) {
	tests := map[string]func(*testing.T, *dbtest.Server){
		"round trip":               testMySQLRoundTrip,
		"other database":           testMySQLRestoreDoesNotAlterOtherDatabase,
		"cross restore":            testMySQLCrossRestore,
		"obstacles":                testMySQLObstacles,
		"gone definer":             testMySQLGoneDefiner,
		"legacy dump":              testMySQLLegacyDump,
		"tool warns":               testMySQLToolWarns,
		"names":                    testMySQLCheckNames,
		"failing tools":            testMySQLFailingTools,
		"passwords":                testMySQLPasswords,
		"secrets":                  testMySQLSecretsAreHidden,
		"connection":               testMySQLConnection,
		"lock":                     testMySQLLock,
		"stall":                    testMySQLStall,
		"tools":                    testMySQLToolChoice,
		"state":                    testMySQLState,
		"cut restore":              testMySQLCutRestore,
		"failed restore":           testMySQLFailedRestore,
		"refused restore":          testMySQLRefusedRestore,
		"replacing restore":        testMySQLReplacingRestore,
		"no owner":                 testMySQLNoOwner,
		"globals and roles":        testMySQLGlobals,
		"globals without rights":   testMySQLGlobalsWithoutRights,
		"restore waits for a lock": testMySQLRestoreBusy,
		"parts":                    testMySQLParts,
		"parts refused":            testMySQLPartsRefused,
		"parts give way":           testMySQLPartsYield,
		"parts of one moment":      testMySQLPartsConsistent,
		"parts in a storm":         testMySQLPartsStorm,
		"tables":                   testMySQLTables,
		"tables refused":           testMySQLTablesRefused,
		"tables fail":              testMySQLTablesFail,
		"tables late":              testMySQLTablesLate,
		"tables with grants":       testMySQLTablesGrants,
	}
	for engine, start := range map[string]func(*testing.T) *dbtest.Server{
		"MariaDB": func(t *testing.T) *dbtest.Server { return dbtest.MariaDB(t) },
		"MySQL":   func(t *testing.T) *dbtest.Server { return dbtest.MySQLFrom(t, dbtest.Chroot(t, "sid")) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) { test(t, s) })
			}
		})
	}
}

// wantMySQLError wants an error that says all of some words.
func wantMySQLError(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q:\n%v", w, err)
		}
	}
}
