package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// leaked is the exit status of a run that ended with goroutines left.
const leaked = 99

// TestMain makes this test binary the program "dbacked" in the path of the
// tests, so that they run what a person runs: with the race detector in it, if the
// tests have it, unless DBACKED_TEST_PROGRAM names the folder of another build.
func TestMain(m *testing.M) {
	testscript.Main(withServers{m}, map[string]func(){"dbacked": func() {
		leaseTerm, _ = time.ParseDuration(os.Getenv("TEST_LEASE_TERM"))
		code := start()
		// A read of the terminal that was interrupted is left behind, also by the
		// list to pick from.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).StreamEvents.func1")); err != nil && code != exitInterrupted {
			fmt.Fprintln(os.Stderr, err)
			code = leaked
		}
		os.Exit(code)
	}, "dbacked-stream": func() { os.Exit(backupOfAStream()) }})
}

// withServers stops the servers after the last test.
type withServers struct{ m *testing.M }

func (w withServers) Run() int {
	defer shared.end()
	if folder := os.Getenv("DBACKED_TEST_PROGRAM"); folder != "" {
		// Another build of this test binary, named dbacked, as make test has one
		// without the race detector, which doubles the time that hundreds of
		// starts take. The stages have it in their own packages' tests.
		os.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	}
	return w.m.Run()
}

// lasting is a testing.TB that lasts as long as the process: for the servers
// that all tests share.
type lasting struct {
	testing.TB // none: what is not below is not used

	mu       sync.Mutex
	cleanups []func()
}

var shared lasting

// The errors that end the start of a server.
type (
	setupFailed struct{ error }
	setupLacks  struct{ error }
)

func (*lasting) Helper()                      {}
func (*lasting) Logf(string, ...any)          {}
func (*lasting) Fatal(args ...any)            { panic(setupFailed{errors.New(fmt.Sprint(args...))}) }
func (*lasting) Fatalf(f string, args ...any) { panic(setupFailed{fmt.Errorf(f, args...)}) }
func (*lasting) Skipf(f string, args ...any)  { panic(setupLacks{fmt.Errorf(f, args...)}) }

func (l *lasting) Cleanup(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, f)
}

func (l *lasting) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
}

// once starts a server at the first call.
func once(start func(testing.TB) *dbtest.Server) func() (*dbtest.Server, error) {
	return sync.OnceValues(func() (s *dbtest.Server, err error) {
		defer func() {
			switch e := recover().(type) {
			case nil:
			case setupFailed:
				err = e
			case setupLacks:
				err = e
			default:
				panic(e)
			}
		}()
		return start(&shared), nil
	})
}

// engine is what the tests must know of a kind of database.
type engine struct {
	name          string // of subtests
	kind          string // DBACKED_DB_TYPE
	first         string // a database that is always there
	dump, restore string // names of the programs
	tester        string // a user who may do all, with the password
	objects       string // SQL that counts what is in a database
	quote         string // what stands around a name

	start    func() (*dbtest.Server, error)
	startOwn func(t testing.TB) *dbtest.Server
}

// password is one as people make them, for every test: no output may ever hold
// it.
const password = `s3cr3t-$pa"ss`

var postgres = &engine{
	name: "PostgreSQL", kind: "pg", first: "postgres", dump: "pg_dump", restore: "pg_restore", tester: "pw_tester", quote: `"`,
	objects: "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
	start:   once(startPostgres), startOwn: startPostgres,
}

var mariadb = &engine{
	name: "MariaDB", kind: "mysql", dump: "mariadb-dump", restore: "mariadb", tester: "tester", quote: "`",
	objects: "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()",
	start:   once(startMariaDB), startOwn: startMariaDB,
}

func startPostgres(t testing.TB) *dbtest.Server {
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", `CREATE ROLE pw_tester SUPERUSER LOGIN PASSWORD '`+password+`' IN ROLE pw`)
	return s
}

func startMariaDB(t testing.TB) *dbtest.Server {
	s := dbtest.MariaDB(t)
	s.SQL(t, "", `CREATE USER tester@'127.0.0.1' IDENTIFIED BY '`+password+`'; GRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION`)
	return s
}

// onBoth runs a test on both engines.
func onBoth(t *testing.T, test func(t *testing.T, e *engine)) {
	for _, e := range []*engine{postgres, mariadb} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}
