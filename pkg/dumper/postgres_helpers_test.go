package dumper

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// pgLimits are short, so that a test that hangs ends.
var pgLimits = Limits{Connect: 20 * time.Second, Lock: 20 * time.Second, Stall: 30 * time.Second}

// pgFor is the dumper of a database on a test's server, as its superuser.
func pgFor(t testing.TB, s *dbtest.Server, database string, change ...func(*Postgres)) *Postgres {
	t.Helper()
	p := NewPostgres(Connection{Host: s.Socket, Port: s.Port, Username: s.User, Database: database}, pgLimits, Tools{}, zaptest.NewLogger(t))
	for _, f := range change {
		f(p)
	}
	return p
}

func asUser(name string) func(*Postgres) { return func(p *Postgres) { p.conn.Username = name } }

func withTools(dir string) func(*Postgres) {
	return func(p *Postgres) { p.tools.Path = []string{dir} }
}

// script writes a program that stands in for a tool; REAL in it is the real one.
func script(t testing.TB, name, real, body string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := "#!/bin/sh\n" +
		`if [ "$1" = --version ]; then exec ` + real + ` --version; fi` + "\n" +
		strings.ReplaceAll(body, "REAL", real) + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustDump(t testing.TB, p *Postgres) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Dump(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantError fails the test unless err says each of the words.
func wantError(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// pgServers starts the servers whose rules differ, with their own tools.
func pgServers(t *testing.T, test func(t *testing.T, s *dbtest.Server, tools func(*Postgres))) {
	t.Run("15", func(t *testing.T) {
		t.Parallel()
		test(t, dbtest.Postgres(t), withTools("/usr/lib/postgresql/15/bin"))
	})
	for version, release := range map[string]string{"17": "trixie", "18": "sid"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := dbtest.PostgresFrom(t, dbtest.Chroot(t, release), version)
			test(t, s, withTools(s.Wrappers(t, "pg_dump", "pg_dumpall", "pg_restore", "psql")))
		})
	}
}

// pgExec runs statements without starting a psql.
func pgExec(t testing.TB, s *dbtest.Server, database, sql string) {
	t.Helper()
	db, err := pgFor(t, s, database).connect(context.Background(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	for _, statement := range []string{"SET search_path = public", sql} {
		if _, err := db.Exec(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// pgSampleArchive is a small archive that pg_dump 15 wrote.
func pgSampleArchive(t testing.TB) []byte {
	t.Helper()
	archive, err := os.ReadFile("pgarchive/testdata/pg15.dump")
	if err != nil {
		t.Fatal(err)
	}
	return archive
}
