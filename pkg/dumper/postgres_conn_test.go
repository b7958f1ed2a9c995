package dumper

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const oddPassword = `p:a\s's "w€rd= $HOME #`

// overTCP is the connection of a role that needs its password.
func overTCP(s *dbtest.Server, user, password string) func(*Postgres) {
	return func(p *Postgres) {
		p.conn.Host, p.conn.Username, p.conn.Password = "127.0.0.1", user, password
	}
}

// TestPostgresPassword dumps with an odd password, looks for it in every process
// meanwhile, and tries a wrong one.
func TestPostgresPassword(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", "CREATE DATABASE shop")
	s.SQL(t, "shop", "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 5000); CREATE ROLE pw_user LOGIN IN ROLE pw PASSWORD '"+strings.ReplaceAll(oddPassword, "'", "''")+"'; GRANT SELECT ON t TO pw_user")
	p := pgFor(t, s, "shop", overTCP(s, "pw_user", oddPassword))
	p.tools.Environ = []string{"PGPASSWORD=" + oddPassword, "PGPASSFILE=/nowhere", "LANGUAGE=fr"}
	looked := 0
	err := p.Dump(context.Background(), writerFunc(func(b []byte) (int, error) {
		looked += lookForSecret(t, oddPassword)
		return len(b), nil
	}))
	if err != nil || looked == 0 {
		t.Errorf("%v, looked at %d pg_dumps", err, looked)
	}
	if _, err := p.DumpGlobals(context.Background(), io.Discard); err != nil {
		t.Error(err)
	}
	t.Run("wrong", func(t *testing.T) {
		p := pgFor(t, s, "shop", overTCP(s, "pw_user", "not the password"))
		for name, err := range map[string]error{"dump": p.Dump(context.Background(), io.Discard), "describe": second(p.Describe(context.Background())), "state": second(p.State(context.Background()))} {
			wantError(t, err, "password authentication failed", "check DBACKED_DB_USERNAME and DBACKED_DB_PASSWORD")
			if strings.Contains(err.Error(), "not the password") {
				t.Errorf("%s prints the password: %v", name, err)
			}
		}
		findings, err := p.Check(context.Background())
		if err != nil || len(findings) != 1 || findings[0].Level != Fail || findings[0].Fix == "" {
			t.Errorf("%+v, %v", findings, err)
		}
	})
	t.Run("none", func(t *testing.T) {
		wantError(t, pgFor(t, s, "shop", overTCP(s, "pw_user", "")).Dump(context.Background(), io.Discard), "what to do")
	})
	t.Run("that cannot be passed on", func(t *testing.T) {
		_, err := NewPostgres(Connection{Password: "a\nb"}, Limits{}, Tools{}, nil).passfile()
		wantError(t, err, "line break")
	})
}

// lookForSecret reads what everybody may read about the pg_dumps that run, and
// returns how many there are.
func lookForSecret(t *testing.T, secret string) (seen int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		args, _ := os.ReadFile(path) // it may have ended
		if !strings.Contains(string(args), "pg_dump") {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if strings.Contains(string(args)+string(environ), secret) {
			t.Errorf("%s: the password shows: %q %q", path, args, environ)
		}
		if strings.Contains(string(args), "pw_user") {
			seen++
		}
	}
	return seen
}

func TestPostgresNoServer(t *testing.T) {
	p := NewPostgres(Connection{Host: "127.0.0.1", Port: 1, Database: "x"}, Limits{Connect: time.Second}, Tools{}, nil)
	wantError(t, p.Dump(context.Background(), io.Discard), "connecting to the PostgreSQL database x", "check DBACKED_DB_HOST")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Check(ctx); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

// TestPostgresLocked has a migration hold a table that the dump waits for.
func TestPostgresLocked(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", "CREATE DATABASE shop")
	s.SQL(t, "shop", "CREATE TABLE free (); CREATE TABLE locked ()")
	p := pgFor(t, s, "shop", func(p *Postgres) { p.limits.Lock = 200 * time.Millisecond })
	db, err := p.connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	if _, err := db.Exec(t.Context(), "SET application_name = 'migrate'; BEGIN; ALTER TABLE public.locked ADD COLUMN x int"); err != nil {
		t.Fatal(err)
	}
	err = p.Dump(t.Context(), io.Discard)
	wantError(t, err, "a table was locked for longer than 200ms", "table public.locked is locked by process", "user postgres, application migrate", "DBACKED_LOCK_TIMEOUT")
	if findings, err := p.Check(t.Context()); err != nil || len(findings) < 5 {
		t.Errorf("Check waits for locks: %v, %v", findings, err)
	}
	if _, err := db.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	mustDump(t, p)
}

func TestPostgresConninfo(t *testing.T) {
	c := Connection{
		Host: `/tmp/a b`, Port: 5433, Username: `o'hara\`, Database: `host=evil port='1'`,
		TLS: TLS{Mode: "verify-full", CA: "/dev/null", Cert: "", Key: ""},
	}
	p := NewPostgres(c, Limits{Connect: 1500 * time.Millisecond}, Tools{}, nil)
	got := p.toolConninfo(c.Database, "dbacked").String()
	want := `host='/tmp/a b' port='5433' user='o\'hara\\' dbname='host=evil port=\'1\'' sslmode='verify-full' sslrootcert='/dev/null' connect_timeout='2'` +
		` application_name='dbacked' keepalives='1' keepalives_idle='60' keepalives_interval='10' keepalives_count='6'`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	p.conn.TLS = TLS{}
	config, err := pgx.ParseConfig(p.conninfo(c.Database).String())
	if err != nil || config.Host != c.Host || config.User != c.Username || config.Database != c.Database {
		t.Errorf("%+v, %v", config, err)
	}
}

func TestPostgresDefaults(t *testing.T) {
	got := pgDefaults(Connection{Host: "given"}, []string{"PGHOST=other", "PGPORT=77", "PGUSER=u", "PGDATABASE=d", "PGSSLMODE=require", "PGPASSWORD=p", "X=1"})
	want := Connection{Host: "given", Port: 77, Username: "u", Database: "d", Password: "p", TLS: TLS{Mode: "require"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
