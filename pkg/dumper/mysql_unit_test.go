package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
)

const (
	mysqlTestHead = "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n"
	mysqlTestEnd  = "\n-- Dump completed on 2026-11-23  1:02:03\n"
)

func TestMySQLProof(t *testing.T) {
	for _, c := range []struct {
		what, dump string
		whole      bool
	}{
		{"MySQL's", mysqlTestHead + "x" + mysqlTestEnd, true},
		{"MariaDB's", "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n" + mysqlTestEnd, true},
		{"an older sandbox line", "/*!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n" + mysqlTestEnd, true},
		{"without a date", mysqlTestHead + "\n-- Dump completed\n", true},
		{"long", mysqlTestHead + strings.Repeat("x", 100_000) + mysqlTestEnd, true},
		{"empty", "", false},
		{"the end alone", mysqlTestEnd, false},
		{"the beginning alone", mysqlTestHead, false},
		{"the end within a line", mysqlTestHead + "x-- Dump completed\n", false},
		{"the end within a comment of more", mysqlTestHead + "\n-- Dump completed by the cleaner\n", false},
		{"without the last line break", mysqlTestHead + strings.TrimSuffix(mysqlTestEnd, "\n"), false},
		{"more behind it", mysqlTestHead + mysqlTestEnd + "x", false},
		{"a line break behind it", mysqlTestHead + mysqlTestEnd + "\n", false},
		{"indented", " " + mysqlTestHead + mysqlTestEnd, false},
		{"PostgreSQL's", "--\n-- PostgreSQL database dump\n--\n" + mysqlTestEnd, false},
	} {
		for _, size := range []int{1, 7, 127, 128, 129, 1 << 20} {
			var out bytes.Buffer
			p := &mysqlProof{w: &out}
			for part := range slices.Chunk([]byte(c.dump), size) {
				if _, err := p.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.check("tool"); (err == nil) != c.whole || err != nil && !errors.Is(err, ErrIncomplete) {
				t.Errorf("%s, in parts of %d: %v", c.what, size, err)
			}
			if out.String() != c.dump {
				t.Errorf("%s, in parts of %d: it was changed", c.what, size)
			}
		}
	}
}

func TestMySQLStream(t *testing.T) {
	const body = mysqlTestHead + "x" + mysqlTestEnd
	for _, sandbox := range []string{"", "/*M!999999\\- enable the sandbox mode */ \n", "/*!999999\\- enable the sandbox mode */\n"} {
		for what, r := range map[string]io.Reader{"whole": strings.NewReader(sandbox + body), "bytes": iotest.OneByteReader(strings.NewReader(sandbox + body)), "with EOF": iotest.DataErrReader(strings.NewReader(sandbox + body))} {
			s, err := newMySQLStream(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(s, []byte(body)); err != nil {
				t.Errorf("%q, %s: %v", sandbox, what, err)
			}
		}
	}
	for cut := len(mysqlTestHead); cut < len(body); cut++ {
		s, err := newMySQLStream(strings.NewReader(body[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s); !errors.Is(err, ErrIncomplete) {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
		if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, ErrIncomplete) {
			t.Errorf("cut after %d bytes, read again: %d, %v", cut, n, err)
		}
	}
	cause := errors.New("cause")
	if _, err := newMySQLStream(iotest.ErrReader(cause)); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// readMySQLOption reads a quoted value as the programs' own reader does.
func readMySQLOption(line string) string {
	line = strings.TrimSuffix(strings.TrimPrefix(line, `"`), `"`)
	var out strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' || i == len(line)-1 {
			out.WriteByte(line[i])
			continue
		}
		i++
		switch at := strings.IndexByte(`ntrbs"'\`, line[i]); {
		case at < 0:
			out.WriteString(line[i-1 : i+1])
		default:
			out.WriteByte("\n\t\r\b \"'\\"[at])
		}
	}
	return out.String()
}

func FuzzMySQLOptionQuoting(f *testing.F) {
	for _, s := range []string{"", "plain", `a\b"c'#d`, "\\n\n", "\\", `"`, "é😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		quoted := quoteMySQLOption(password)
		if strings.ContainsAny(quoted, "\n\r") {
			t.Fatalf("%q is on several lines: %q", password, quoted)
		}
		if got := readMySQLOption(quoted); got != password {
			t.Fatalf("%q is read as %q", password, got)
		}
	})
}

func TestMySQLSecret(t *testing.T) {
	for password, want := range map[string]string{"": "[client]\n", `a"b`: "[client]\npassword=\"a\\\"b\"\n"} {
		if got, err := mysqlSecret(password); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", password, got, err)
		}
	}
	for _, password := range []string{"a\x00b", strings.Repeat("x", 1001)} {
		_, err := mysqlSecret(password)
		wantMySQLError(t, err, "cannot be handed")
		if strings.Contains(err.Error(), password) {
			t.Errorf("the error has the password: %v", err)
		}
	}
}

// Each client's own words for each mode of TLS.
func TestMySQLTLSArguments(t *testing.T) {
	files := TLS{CA: "/ca", Cert: "/cert", Key: "/key"}
	for _, c := range []struct {
		oracle bool
		host   string
		mode   string
		files  bool
		want   string
	}{
		{true, "h", "", false, "--get-server-public-key --ssl-mode=PREFERRED"},
		{true, "h", "disable", true, "--get-server-public-key --ssl-mode=DISABLED"},
		{true, "h", "require", false, "--ssl-mode=REQUIRED"},
		{true, "h", "require", true, "--ssl-ca=/ca --ssl-cert=/cert --ssl-key=/key --ssl-mode=VERIFY_CA"},
		{true, "h", "verify-full", true, "--ssl-ca=/ca --ssl-cert=/cert --ssl-key=/key --ssl-mode=VERIFY_IDENTITY"},
		{true, "/s", "verify-full", true, ""},
		{false, "h", "", false, "--skip-ssl-verify-server-cert --ssl"},
		{false, "h", "disable", true, "--skip-ssl"},
		{false, "h", "require", false, "--skip-ssl-verify-server-cert --ssl"},
		{false, "h", "verify-ca", true, "--ssl --ssl-ca=/ca --ssl-cert=/cert --ssl-key=/key --ssl-verify-server-cert"},
		{false, "h", "verify-full", false, "--ssl --ssl-verify-server-cert"},
		{false, "/s", "verify-full", false, "--skip-ssl"},
	} {
		m := NewMySQL(Connection{Host: c.host, Username: "u"}, Limits{}, Tools{}, nil)
		if c.files {
			m.conn.TLS = files
		}
		m.conn.TLS.Mode = c.mode
		m.helps["/tool"] = map[string]bool{"ssl-mode": c.oracle, "get-server-public-key": c.oracle}
		args, err := m.connectionArgs(t.Context(), "/tool")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range args {
			if strings.Contains(a, "ssl") || strings.Contains(a, "public-key") {
				got = append(got, a)
			}
		}
		slices.SortFunc(got, strings.Compare)
		words := strings.Fields(c.want)
		slices.Sort(words)
		if diff := cmp.Diff(words, got); len(words)+len(got) > 0 && diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
}

func TestMySQLNewest(t *testing.T) {
	tool := func(path string, major int, given bool) mysqlTool {
		return mysqlTool{path: path, version: mysqlVersion{major}, given: given}
	}
	all := func(mysqlTool) bool { return true }
	for _, c := range []struct {
		want  string
		tools []mysqlTool
	}{
		{"", nil},
		{"b", []mysqlTool{tool("a", 8, false), tool("b", 9, false), tool("c", 5, false)}},
		{"a", []mysqlTool{tool("a", 5, true), tool("b", 9, false)}},
		{"b", []mysqlTool{tool("a", 9, false), tool("b", 5, true), tool("c", 10, false)}},
		{"c", []mysqlTool{tool("a", 5, true), tool("b", 9, false), tool("c", 6, true)}},
		{"a", []mysqlTool{tool("a", 9, false), tool("b", 9, false)}},
	} {
		if got, ok := newest(c.tools, all); got.path != c.want || ok != (c.want != "") {
			t.Errorf("%v: chose %q", c.tools, got.path)
		}
	}
}

// The tools get nothing that could lead them elsewhere.
func TestMySQLEnvironment(t *testing.T) {
	m := NewMySQL(Connection{}, Limits{}, Tools{Environ: []string{"HTTPS_PROXY=p", "HOME=/root", "MYSQL_PWD=x", "MYSQL_HOST=h", "MARIADB_HOST=h", "MYSQL_TEST_LOGIN_FILE=f"}}, nil)
	got := strings.Join(m.environ(), "\n")
	if !strings.Contains(got, "HTTPS_PROXY=p") || strings.Contains(got, "HOME=") || strings.Contains(got, "MYSQL") || strings.Contains(got, "MARIADB") {
		t.Errorf("the environment is\n%s", got)
	}
}

func TestMySQLExplains(t *testing.T) {
	m := NewMySQL(Connection{Host: "db.example", Username: "app", Database: "shop"}, Limits{}, Tools{}, nil)
	said := func(stderr string) error { return &ExitError{Tool: "mysqldump", Code: 2, Stderr: stderr} }
	for _, c := range []struct {
		err  error
		word string
	}{
		{said("mysqldump: Got error: 1045: Access denied for user 'app'@'h' (using password: YES) when trying to connect"), "check the user name"},
		{said("ERROR 1045 (28000): Access denied"), "check the user name"},
		{said(`mariadb-dump: Got error: 2002: "Can't connect" when trying to connect`), "db.example:3306"},
		{said("mysqldump: Couldn't execute 'show events': Access denied for user 'a'@'b' to database 't' (1044)"), "GRANT SELECT"},
		{said("mysqldump: Error 2013: Lost connection to server during query when dumping table `t` at row: 7"), "net_write_timeout"},
		{said("mysqldump: Error 1412: Table definition has changed, please retry transaction"), "run the backup again"},
		{said("ERROR 1153 (08S01) at line 3: Got a packet bigger than 'max_allowed_packet' bytes"), "max_allowed_packet"},
		{said("ERROR 1273 (HY000) at line 25: Unknown collation: 'utf8mb4_0900_ai_ci'"), "brand and version"},
		{said("ERROR 1418 (HY000) at line 25: This function has none of"), "log_bin_trust_function_creators"},
		{said("ERROR 3105 (HY000) at line 3: The value specified for generated column"), "generated columns"},
		{said("mysqldump: Got error: 2059: Authentication plugin"), "plugin"},
		{said("ERROR 1290 (HY000): read-only"), "read-only"},
		{said("ERROR 1449 (HY000): definer"), "definer"},
		{said("ERROR 1040: Too many connections"), "max_connections"},
		{said("ERROR 2026 (HY000): SSL connection error"), "DBACKED_DB_TLS"},
		{fmt.Errorf("looking: %w", &mysql.MySQLError{Number: 1205, Message: "Lock wait timeout exceeded"}), "DBACKED_LOCK_TIMEOUT"},
	} {
		got := m.explain(c.err)
		wantMySQLError(t, got, c.word, c.err.Error())
		if !errors.Is(got, c.err) {
			t.Errorf("%v: the error is not kept", c.err)
		}
	}
	for _, err := range []error{nil, context.Canceled, errors.New("other"), said("segmentation fault"), said("line 1045")} {
		if got := m.explain(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestMySQLQuoting(t *testing.T) {
	for account, want := range map[string]string{"app@%": "'app'@'%'", "o'dd@h": "'o''dd'@'h'", "a@b@c": "'a@b'@'c'", "role": "'role'", `b\s@h`: `'b\\s'@'h'`, "@h": "''@'h'"} {
		if got := quoteMySQLAccount(account); got != want {
			t.Errorf("%q: %s, want %s", account, got, want)
		}
	}
	if got := quoteMySQLName("a`b"); got != "`a``b`" || unquoteMySQLName(got) != "a`b" {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"shop", "shop", true},
		{"shop", "Shop", false},
		{"sho_", "shop", true},
		{`sho\_`, "shop", false},
		{`sho\_`, "sho_", true},
		{"%", "any", true},
		{"s%p", "shop", true},
		{"s%p", "shops", false},
		{`a\%`, "a%", true},
		{"a.b", "axb", false},
		{"é_", "éx", true},
		{"", "x", false},
		{"a(b", "a(b", true},
		{`a\`, "a", true},
	} {
		if got := matchMySQLPattern(c.pattern, c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
}
