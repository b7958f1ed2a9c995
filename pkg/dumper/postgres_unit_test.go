package dumper

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

func TestPgAdvice(t *testing.T) {
	p := NewPostgres(Connection{Username: "b$1 up"}, Limits{}, Tools{}, nil)
	for message, want := range map[string]string{
		"ERROR:  permission denied for table secret\npg_dump: detail":                                `GRANT SELECT ON TABLE secret TO "b$1 up", or since`,
		`ERROR:  permission denied for table "se cret"`:                                              `GRANT SELECT ON TABLE "se cret" TO`,
		"ERROR:  permission denied for schema s":                                                     "GRANT USAGE ON SCHEMA s",
		"ERROR:  permission denied for sequence s":                                                   "GRANT SELECT ON SEQUENCE s",
		"ERROR:  permission denied for large object 77":                                              "GRANT SELECT ON LARGE OBJECT 77",
		`query would be affected by row-level security policy for table "orders"`:                    `hide rows of orders from the backup: ALTER ROLE "b$1 up" BYPASSRLS`,
		"pg_dump: error: aborting because of server version mismatch":                                "client package of the server's version",
		"FATAL:  password authentication failed for user \"x\"":                                      "DBACKED_DB_PASSWORD",
		"fe_sendauth: no password supplied":                                                          "set DBACKED_DB_PASSWORD",
		`FATAL:  no pg_hba.conf entry for host "1.2.3.4"`:                                            "neither from this host",
		"ERROR:  out of shared memory\nHINT:  You might need to increase max_locks_per_transaction.": "raise max_locks_per_transaction",
		`pg_dump: error: FATAL:  role "nobody" does not exist`:                                       `CREATE ROLE "nobody" LOGIN`,
		`ERROR:  role "boss" does not exist`:                                                         "lacks the role boss",
		`ERROR:  tablespace "fast" does not exist`:                                                   "lacks the tablespace fast",
		`ERROR:  extension "postgis" is not available`:                                               "install the extension's package",
		"server closed the connection unexpectedly":                                                  "the server stopped or restarted",
		"dial tcp 127.0.0.1:1: connect: connection refused":                                          "check DBACKED_DB_HOST",
		`ERROR:  unrecognized configuration parameter "transaction_timeout"`:                         "newer than the server",
		"something else": "",
	} {
		got := p.pgAdvise(message)
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
	cause := errors.New("a role that does not exist")
	if err := p.advise(cause); err != cause {
		t.Errorf("%v", err)
	}
	hinted := p.advise(&ExitError{Tool: "pg_dump", Code: 1, Stderr: "No space left on device"})
	if _, ok := errors.AsType[*ExitError](hinted); !ok {
		t.Error("the cause is lost")
	}
	wantError(t, hinted, "pg_dump failed: exit status 1: No space left on device; what to do: the server's disk is full")
}

func TestPgMembership(t *testing.T) {
	known := func(name string) bool { return name != "stranger" }
	for sql, want := range map[string]string{
		`GRANT a TO b GRANTED BY postgres`: `GRANT a TO b`,
		`GRANT a TO b`:                     `GRANT a TO b`,
		`GRANT "a" TO "b;" WITH ADMIN OPTION GRANTED BY postgres`:        `GRANT "a" TO "b;" WITH ADMIN OPTION`,
		`GRANT a TO b WITH INHERIT TRUE, SET FALSE GRANTED BY "GRANTED"`: `GRANT a TO b WITH INHERIT TRUE, SET FALSE`,
		`GRANT a TO stranger`: "",
		`GRANT stranger TO a`: "",
		`GRANT c TO d`:        "",
	} {
		s := pgStatements(sql)
		if got, ok := membership(&s[0], []string{"a"}, known); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", sql, got, ok)
		}
	}
}

func TestPgNeeded(t *testing.T) {
	for text, want := range map[string][]string{
		pgRolesLine + `["a","b\nc"]` + "\nCREATE ROLE other;":                                          {"a", "b\nc"},
		pgRolesLine + "[]\nCREATE ROLE other;":                                                         {},
		"--\n-- PostgreSQL database cluster dump\nCREATE ROLE x;\nCREATE ROLE \"y z\";\nALTER ROLE x;": {"x", "y z"},
		"": nil,
	} {
		got, err := pgNeeded(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
}

// TestPgScript: what does not belong there goes, wherever a piece ends; nothing
// else does.
func TestPgScript(t *testing.T) {
	const (
		setting = "SET transaction_timeout = 0;\n"
		rest    = "SET x = 1;\nCOPY t FROM stdin;\nBEGIN;\n" + setting + "COMMIT;\n\\.\n"
		end     = "\n-- complete\n"
	)
	for _, inner := range []bool{false, true} {
		for _, old := range []bool{false, true} {
			text, want := "--\nBEGIN;\nSET lock_timeout = 0;\n"+setting+rest+"COMMIT;\n"+end, "--\n"
			if !inner {
				want += "BEGIN;\n"
			}
			want += "SET lock_timeout = 0;\n"
			if !old {
				want += setting
			}
			want += rest
			if !inner {
				want += "COMMIT;\n"
			}
			want += end
			for size := 1; size < len(text); size++ {
				var out bytes.Buffer
				s := &pgScript{w: &out, old: old, inner: inner}
				for p := text; p != ""; p = p[min(size, len(p)):] {
					if _, err := s.Write([]byte(p[:min(size, len(p))])); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.flush(); err != nil || out.String() != want {
					t.Fatalf("inner %v, old %v, in pieces of %d: %q, %v", inner, old, size, &out, err)
				}
			}
		}
	}
	if s := (&pgScript{w: io.Discard, inner: true}); s.flush() != errScript {
		t.Error("a script without a transaction is taken for one")
	}
	var out bytes.Buffer
	s := &pgScript{w: &out}
	long := strings.Repeat("-- no setting in here\n", 10_000)
	if _, err := io.Copy(s, iotest.HalfReader(strings.NewReader(long))); err != nil || s.flush() != nil || out.String() != long {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	broken := errors.New("broken")
	s = &pgScript{w: writerFunc(func([]byte) (int, error) { return 0, broken })}
	if _, err := s.Write([]byte(long)); err != broken {
		t.Errorf("%v", err)
	}
}

func TestPgAboutDatabase(t *testing.T) {
	a := &pgArchive{}
	for _, e := range []pgarchive.Entry{
		{Desc: "DATABASE", Tag: "shop", Owner: "boss", Defn: "CREATE DATABASE shop;"},
		{Desc: "COMMENT", Tag: "DATABASE shop", Defn: "COMMENT …;"},
		{Desc: "ACL", Tag: "DATABASE shop", Defn: "GRANT …;"},
		{Desc: "DATABASE PROPERTIES", Tag: "shop", Defn: "ALTER …;"},
		{Desc: "COMMENT", Tag: "TABLE t", Defn: "not this"},
		{Desc: "TABLE", Tag: "t"},
		{Desc: "BLOB METADATA", Tag: "1..9"},
		{Desc: "INDEX", Tag: "i"},
		{Desc: "TABLE DATA", Tag: "t"},
	} {
		a.note(e)
	}
	want := pgDatabaseEntries{name: "shop", owner: "boss", create: "CREATE DATABASE shop;", more: "COMMENT …;\nALTER …;\n", grants: "GRANT …;\n"}
	if diff := cmp.Diff(want, a.database, cmp.AllowUnexported(want)); diff != "" || a.locks != 1005 {
		t.Error(a.locks, diff)
	}
}

// TestPgOpenArchive reads heads that come byte by byte, and passes the archive on
// as it was.
func TestPgOpenArchive(t *testing.T) {
	broken := errors.New("broken")
	if _, err := openArchive(iotest.ErrReader(broken)); err != broken {
		t.Errorf("%v", err)
	}
	if _, err := openArchive(strings.NewReader("PGDMP\x01\x11\x00\x04\x08\x01")); !errors.Is(err, pgarchive.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	whole := pgSampleArchive(t)
	a, err := openArchive(iotest.OneByteReader(bytes.NewReader(whole)))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if again, err := io.ReadAll(a.body); err != nil || !bytes.Equal(again, whole) || !a.whole || a.database.name != "demo" {
		t.Errorf("%d of %d bytes, %v, %+v", len(again), len(whole), err, a.database)
	}
}
