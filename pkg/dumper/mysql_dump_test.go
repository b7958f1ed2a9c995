package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// dumpProgram is the name of an engine's dump program.
func dumpProgram(s *dbtest.Server) string {
	if s.Engine == "mariadb" {
		return "mariadb-dump"
	}
	return "mysqldump"
}

func clientProgram(s *dbtest.Server) string {
	if s.Engine == "mariadb" {
		return "mariadb"
	}
	return "mysql"
}

// numbered makes a database with a table of n rows.
func numbered(t testing.TB, s *dbtest.Server, db string, n int) {
	t.Helper()
	s.SQL(t, "", "CREATE DATABASE "+db+" CHARACTER SET utf8mb4")
	s.SQL(t, db, "CREATE TABLE t (i int PRIMARY KEY AUTO_INCREMENT, s varchar(200)) ENGINE=InnoDB; INSERT INTO t (s) VALUES (repeat('x', 200))")
	for have := 1; have < n; have *= 2 {
		s.SQL(t, db, fmt.Sprintf("INSERT INTO t (s) SELECT s FROM t LIMIT %d", n-have))
	}
}

func testMySQLFailingTools(t *testing.T, s *dbtest.Server) {
	numbered(t, s, "failing", 3000)
	name := dumpProgram(s)
	for _, c := range []struct {
		what, script string
		incomplete   bool
		words        []string
	}{
		{"exit 1 late", `"$REAL" "$@"; exit 1`, false, []string{"exit status 1"}},
		{"killed", `"$REAL" "$@" | head -c 100000; kill -KILL $$`, false, []string{"signal 9", "memory"}},
		{"crashed", `"$REAL" "$@" | head -c 100000; kill -SEGV $$`, false, []string{"signal 11"}},
		{"empty", `exit 0`, true, []string{"wrote nothing"}},
		{"cut within a row", `"$REAL" "$@" | head -c 100000; exit 0`, true, []string{"closing line", "100000 bytes"}},
		{"last byte missing", `"$REAL" "$@" | head -c -1; exit 0`, true, []string{"closing line"}},
		{"closing line missing", `"$REAL" "$@" | head -n -1; exit 0`, true, []string{"closing line"}},
		{"something behind", `"$REAL" "$@"; echo "SELECT 1;"`, true, []string{"closing line"}},
		{"another format", `echo "<xml/>"; echo; echo "-- Dump completed"`, true, []string{"does not begin"}},
		{"says why", `echo "` + name + `: Error 2013: Lost connection to server during query when dumping table" >&2; exit 3`, false, []string{"exit status 3", "net_write_timeout"}},
	} {
		err := mysqlFor(t, s, "failing", mysqlScript(t, name, c.script)).Dump(t.Context(), io.Discard)
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		var exit *ExitError
		if errors.Is(err, ErrIncomplete) != c.incomplete || errors.As(err, &exit) == c.incomplete {
			t.Errorf("%s: %T %v", c.what, err, err)
		}
		wantMySQLError(t, err, c.words...)
	}
	mysqlDump(t, mysqlFor(t, s, "failing")) // the next run works
}

// Any password reaches the dump program and the client as it is.
func testMySQLPasswords(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE pw; CREATE USER pw@'%'; GRANT ALL ON pw.* TO pw@'%'")
	for _, password := range []string{"plain", "p#a s#s", " both ends ", `"quoted"`, `'`, `"`, `\`, `\\n`, `a\"b'c#`, "tab\tnew\nline\r", "é😀", "[client]", "!include /etc", ";semi", "a=b", "$HOME `id`", strings.Repeat(`\"`, 20), "%s"} {
		s.SQL(t, "", "ALTER USER pw@'%' IDENTIFIED BY "+strings.ReplaceAll(quoteMySQLText(password), "\n", `\n`))
		m := mysqlFor(t, s, "pw", as(s, "pw", password))
		dump := mysqlDump(t, m)
		if err := m.Restore(t.Context(), bytes.NewReader(dump), RestoreOptions{}); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// While a dump runs, its password is neither on a command line, nor in an
// environment, nor in a file that has a name.
func testMySQLSecretsAreHidden(t *testing.T, s *dbtest.Server) {
	const secret = "s3cr3t-hunter2"
	numbered(t, s, "hidden", 20000)
	s.SQL(t, "", "CREATE USER hid@'%' IDENTIFIED BY '"+secret+"'; GRANT ALL ON hidden.* TO hid@'%'")
	m := mysqlFor(t, s, "hidden", as(s, "hid", secret))
	m.tools.Environ = []string{"MYSQL_PWD=wrong", "HOME=/root", "MYSQL_HOST=nowhere"}
	seen := 0
	w := mysqlWriter(func(p []byte) (int, error) {
		if seen++; seen > 1 { // once is enough
			return len(p), nil
		}
		files, _ := filepath.Glob("/proc/[0-9]*/*")
		for _, f := range files {
			base := filepath.Base(f)
			if base != "cmdline" && base != "environ" {
				continue
			}
			text, _ := os.ReadFile(f) // processes come and go
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the password is in %s", f)
			}
			if base == "cmdline" && bytes.Contains(text, []byte("--single-transaction")) && bytes.Contains(text, []byte("hidden")) {
				seen += 1000
			}
		}
		return len(p), nil
	})
	if err := m.Dump(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if seen < 1000 {
		t.Error("the dump program was not seen at work")
	}
}

type mysqlWriter func([]byte) (int, error)

func (f mysqlWriter) Write(p []byte) (int, error) { return f(p) }

func testMySQLConnection(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE con; CREATE USER con@'%' IDENTIFIED BY 'right'; GRANT ALL ON con.* TO con@'%'")
	err := mysqlFor(t, s, "con", as(s, "con", "wr0ng-pass")).Dump(t.Context(), io.Discard)
	wantMySQLError(t, err, "1045", "check the user name", `"con"`)
	if strings.Contains(err.Error(), "wr0ng-pass") {
		t.Errorf("the error has the password: %v", err)
	}
	wantMySQLError(t, mysqlFor(t, s, "absent").Dump(t.Context(), io.Discard), "1049", `no database "absent"`)

	// A closed port, by a program that is told so, too.
	gone := mysqlFor(t, s, "con", as(s, "con", "right"), func(m *MySQL) { m.conn.Port = 1 })
	wantMySQLError(t, gone.Dump(t.Context(), io.Discard), "127.0.0.1:1", "refused")

	for mode, works := range map[string]bool{"": true, "disable": true, "prefer": true, "require": s.Engine == "mysql", "verify-full": false} {
		m := mysqlFor(t, s, "con", as(s, "con", "right"), func(m *MySQL) { m.conn.TLS.Mode = mode })
		if err := m.Dump(t.Context(), io.Discard); (err == nil) != works {
			t.Errorf("TLS mode %q: %v", mode, err)
		}
	}
	if s.Engine == "mysql" { // which makes itself certificates
		ca := filepath.Join(s.Dir, "data", "ca.pem")
		for mode, works := range map[string]bool{"require": true, "verify-ca": true, "verify-full": false} {
			m := mysqlFor(t, s, "con", as(s, "con", "right"), func(m *MySQL) { m.conn.TLS = TLS{Mode: mode, CA: ca} })
			if err := m.Dump(t.Context(), io.Discard); (err == nil) != works {
				t.Errorf("TLS mode %q with an authority: %v", mode, err)
			}
		}
	}
	info, err := mysqlFor(t, s, "con", as(s, "con", "right")).Describe(t.Context())
	if err != nil || info.Engine != s.Engine || !strings.HasPrefix(info.ServerVersion, s.Version+".") || info.ToolVersion == "" || info.Database != "con" {
		t.Errorf("%+v, %v", info, err)
	}
}

// A migration holds a table: the dump gives up at its limit, and says at what.
func testMySQLLock(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE locked")
	s.SQL(t, "locked", "CREATE TABLE orders (i int)")
	for _, tool := range []string{"the server's", "MariaDB's"} {
		m := mysqlFor(t, s, "locked", func(m *MySQL) { m.limits.Lock = time.Second })
		if tool == "MariaDB's" { // its program cannot be told the limit
			m.tools.Path = nil
		}
		holder, err := mysqlFor(t, s, "locked").open(t.Context(), "locked")
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.exec(t.Context(), "LOCK TABLES orders WRITE"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = m.Dump(t.Context(), io.Discard)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s program: it took %s", tool, took)
		}
		wantMySQLError(t, err, "SHOW FULL PROCESSLIST", "orders", "DBACKED_LOCK_TIMEOUT")
		holder.close()
		mysqlDump(t, m)
	}
}

func testMySQLStall(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE stalled")
	m := mysqlFor(t, s, "stalled", mysqlScript(t, dumpProgram(s), `head -c 1000000 /dev/zero; exec sleep 1000`), func(m *MySQL) { m.limits.Stall = 300 * time.Millisecond })
	err := m.Dump(t.Context(), io.Discard)
	var stall *StallError
	if !errors.As(err, &stall) {
		t.Errorf("got %v", err)
	}
	// Interrupted by the caller.
	cause := errors.New("the caller's reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	m.limits.Stall = time.Minute
	err = m.Dump(ctx, mysqlWriter(func(p []byte) (int, error) { cancel(cause); return len(p), nil }))
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	// The neighbour fails.
	err = mysqlFor(t, s, "stalled").Dump(t.Context(), mysqlWriter(func([]byte) (int, error) { return 0, syscall.ENOSPC }))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

func TestMySQLServerStopsDuringDump(t *testing.T) {
	t.Parallel()
	s := dbtest.MariaDB(t)
	numbered(t, s, "stops", 60000)
	stopped := false
	err := mysqlFor(t, s, "stops").Dump(t.Context(), mysqlWriter(func(p []byte) (int, error) {
		if !stopped {
			stopped = true
			s.Stop(t)
		}
		return len(p), nil
	}))
	wantMySQLError(t, err, "2013", "the server ended the connection")
	err = mysqlFor(t, s, "stops").Dump(t.Context(), io.Discard)
	wantMySQLError(t, err, "connecting to "+s.Socket)
}

// The program is chosen by the server, and never older than it.
func testMySQLToolChoice(t *testing.T, s *dbtest.Server) {
	s.SQL(t, "", "CREATE DATABASE choice")
	brand := map[string]string{"mariadb": "mariadb-dump  Ver 10.19 Distrib %s-MariaDB, for debian-linux-gnu (x86_64)", "mysql": "mysqldump  Ver %s for Linux on x86_64"}[s.Engine]
	fake := func(version string) string {
		dir := t.TempDir()
		script := "#!/bin/sh\necho '" + fmt.Sprintf(brand, version) + "'\n"
		if err := os.WriteFile(filepath.Join(dir, dumpProgram(s)), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	old, newer, newest := fake("5.1.1"), fake("98.0.1"), fake("99.0.1")
	m := mysqlFor(t, s, "choice")
	m.tools.Path = append([]string{old, newer, newest}, m.tools.Path...)
	if info, err := m.Describe(t.Context()); err != nil || filepath.Dir(info.Tool) != newest {
		t.Errorf("chose %+v, %v", info, err)
	}
	server := mysqlServer{engine: s.Engine, version: mysqlVersion{100, 0, 0}}
	if s.Engine == "mariadb" {
		_, err := m.dumpTool(t.Context(), server)
		wantMySQLError(t, err, "MariaDB 100.0.0", "mariadb-client", "5.1.1")
		m.tools.Path = []string{t.TempDir()}
		_, err = m.dumpTool(t.Context(), mysqlServer{engine: "mariadb", version: mysqlVersion{11, 8, 0}})
		wantMySQLError(t, err, "found only /usr/bin/")
		return
	}
	// MariaDB's program will do for MySQL, but not for what it dumps wrongly.
	m.tools.Path = nil
	mysqlDump(t, m)
	s.SQL(t, "choice", "CREATE TABLE g (i int, j int AS (i + 1))")
	wantMySQLError(t, m.Dump(t.Context(), io.Discard), "g.j", "mysql-client")
	s.SQL(t, "choice", "DROP TABLE g")

	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "mysqldump"), []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.tools.Path = []string{broken}
	_, err := m.Describe(t.Context())
	wantMySQLError(t, err, broken, "does not say its version")
}

func testMySQLState(t *testing.T, s *dbtest.Server) {
	m := mysqlFor(t, s, "state")
	if st, err := m.State(t.Context()); err != nil || st.Exists || st.Objects != 0 || st.Engine != s.Engine {
		t.Errorf("%+v, %v", st, err)
	}
	s.SQL(t, "", "CREATE DATABASE state")
	if st, err := m.State(t.Context()); err != nil || !st.Exists || st.Objects != 0 || st.Example != "" {
		t.Errorf("%+v, %v", st, err)
	}
	s.SQL(t, "state", "CREATE TABLE b (i int); CREATE VIEW a AS SELECT * FROM b; CREATE PROCEDURE p() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1; CREATE TRIGGER r BEFORE INSERT ON b FOR EACH ROW SET NEW.i = 1")
	other, err := m.open(t.Context(), "state")
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if st, err := m.State(t.Context()); err != nil || st.Objects != 5 || st.Example != "a" || st.Sessions != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestMySQLVersions(t *testing.T) {
	for text, want := range map[string]mysqlVersion{
		"mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)": {10, 11, 19},
		"mariadb-dump from 11.8.9-MariaDB, client 10.20 for debian-linux-gnu (x86_64)": {11, 8, 9},
		"mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))":                        {9, 7, 4},
		"mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)":                      {5, 7, 44},
		"10.11.19-MariaDB-0+deb12u1-log":                                               {10, 11, 19},
		"5.5.5-10.6.3-MariaDB":                                                         {10, 6, 3},
		"8.0.36-28":                                                                    {8, 0, 36},
		"nothing":                                                                      {},
	} {
		if got := parseMySQLVersion(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if !(mysqlVersion{10, 5, 9}).less(mysqlVersion{10, 11, 0}) || (mysqlVersion{10, 11, 1}).less(mysqlVersion{10, 11, 9}) {
		t.Error("versions are compared wrongly")
	}
}

func TestMySQLOptions(t *testing.T) {
	refused := []string{
		"--skip-comments", "--skip-comm", "--skip_comments", "--SKIP-COMMENTS", "--comments=0", "--comments=FALSE", "--comm=off", "--disable-comments", "--loose-skip-comments", "--skip-i", "-i0", "-i",
		"--compact", "--comp", "--force", "--forc", "-f", "--enable-force", "--result-file=/x", "--result_file=/x", "-r/x", "--tab=/x", "-T", "--xml", "-X", "--host=h", "--user=u", "--password=hunter2", "--pass=hunter2",
		"--databases", "-B", "--all-databases", "-A", "--where=1=0", "--defaults-file=/x", "--no-defaults", "--log-error=/x", "--ignore-error=1", "--skip-opt", "--skip-single-transaction", "--single-transaction=0",
		"--skip-set-charset", "--no-set-names", "--default-character-set=latin1", "--ssl", "--skip-ssl", "--ssl-mode=DISABLED", "--no-create-info", "--skip-hex-blob", "table", "", "--", "--init-command=x", "--master-data",
	}
	for _, o := range refused {
		m := NewMySQL(Connection{}, Limits{}, Tools{Options: []string{o}}, nil)
		err := m.CheckOptions()
		if err == nil {
			t.Errorf("%q is taken", o)
			continue
		}
		wantMySQLError(t, err, optionName(o))
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error has a value: %v", err)
		}
		if err := m.Dump(t.Context(), io.Discard); err == nil {
			t.Errorf("%q: it is dumped", o)
		}
	}
	taken := []string{
		"--no-data", "--ignore-table=a.b", "--ignore-table-data=a.b", "--skip-triggers", "--skip-routines", "--skip-events", "--order-by-primary", "--skip-extended-insert", "--complete-insert", "--compress", "--comments",
		"--skip-dump-date", "--skip-lock-tables", "--skip-tz-utc=x", "--max-statement-time=3", "--insert-ignore", "--add-drop-trigger", "--flush-logs", "--set-gtid-purged=OFF", "--column-statistics=0", "--init-command-add=SELECT 1", "--skip-add-drop-table", "--no-autocommit", "--verbose",
	}
	taken = slices.DeleteFunc(taken, func(o string) bool { return o == "--skip-tz-utc=x" })
	for _, o := range taken {
		if err := checkMySQLOption(o); err != nil {
			t.Errorf("%q: %v", o, err)
		}
	}
}
