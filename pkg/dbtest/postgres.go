package dbtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Postgres starts the PostgreSQL that Debian 12 brings. Its superuser is
// postgres; every user may come in without a password, over TCP those whose
// name begins with "pw_" need one. Settings are lines for postgresql.conf.
func Postgres(t testing.TB, settings ...string) *Server {
	t.Helper()
	return postgres(t, "", "15", settings)
}

// inFolder keeps the shared memory of a server that is killed, as these are, in
// its folder, which is removed.
const inFolder = "dynamic_shared_memory_type=mmap"

// PostgresFrom is Postgres in a tree that Chroot made.
func PostgresFrom(t testing.TB, root, version string, settings ...string) *Server {
	t.Helper()
	return postgres(t, root, version, settings)
}

func postgres(t testing.TB, root, version string, settings []string) *Server {
	t.Helper()
	s := &Server{Engine: "postgresql", Version: version, User: "postgres", root: root, Port: freePort(t)}
	s.Bin = filepath.Join(root, "/usr/lib/postgresql", version, "bin")
	if _, err := os.Stat(filepath.Join(s.Bin, "postgres")); err != nil {
		Need(t, "the package postgresql-"+version, err)
	}
	s.Dir = tempDir(t)
	mkdirFor(t, s.Dir, "postgres")
	data := filepath.Join(s.Dir, "data")
	s.Socket = s.Dir

	initdb := s.commandAs(t, "postgres", "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	run(t, initdb)
	hba := "local all all trust\nhost all /^pw_ 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
	if version < "16" { // no regular expressions in pg_hba.conf yet: a role "pw" gathers them
		hba = "local all all trust\nhost all +pw 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	chown(t, filepath.Join(data, "pg_hba.conf"), "postgres")
	args := []string{"-D", data, "-k", s.Dir, "-p", fmt.Sprint(s.Port), "-h", "127.0.0.1"}
	for _, c := range append([]string{"fsync=off", "full_page_writes=off", "max_connections=50", inFolder}, settings...) {
		args = append(args, "-c", c)
	}
	cmd := s.commandAs(t, "postgres", "postgres", args...)
	s.daemon(t, cmd, func() error {
		_, err := s.TrySQL("postgres", "SELECT 1")
		return err
	})
	s.SQL(t, "postgres", "CREATE ROLE pw")
	return s
}

func chown(t testing.TB, path, name string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	uid, gid := lookup(t, name)
	if err := os.Chown(path, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
}

// psql is the command-line client, reading statements from its input.
func (s *Server) psql(db string) *exec.Cmd {
	return s.command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		"-h", s.Socket, "-p", fmt.Sprint(s.Port), "-U", s.User, "-d", db)
}

// SQL runs statements in a database as the superuser and returns what they
// print: rows on lines, columns set apart by "|" (PostgreSQL) or tabs (MySQL).
func (s *Server) SQL(t testing.TB, db, sql string) string {
	t.Helper()
	out, err := s.TrySQL(db, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TrySQL is SQL, with the error returned.
func (s *Server) TrySQL(db, sql string) (string, error) {
	cmd := s.client(db)
	cmd.Stdin = strings.NewReader(sql)
	out, err := output(cmd)
	return strings.TrimRight(out, "\n"), err
}

// withoutTokens drops the lines with a random token, which newer tools put into
// plain dumps. A regular expression would take seconds for a long line.
func withoutTokens(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, `\restrict `) && !strings.HasPrefix(line, `\unrestrict `) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// PlainDump is a dump of the database as SQL text, for comparing two databases:
// it has neither dates nor names of servers nor random tokens.
func (s *Server) PlainDump(t testing.TB, db string) string {
	t.Helper()
	if s.Engine != "postgresql" {
		return s.plainMySQL(t, db)
	}
	out := run(t, s.command("pg_dump", "-h", s.Socket, "-p", fmt.Sprint(s.Port), "-U", s.User, "-d", db))
	return withoutTokens(out)
}

// Addr is the server's address on TCP.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(s.Port)) }

// command is a program of the server's own version.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.Bin, name), args...)
	if s.root != "" {
		cmd = inRoot(s.root, "0:0", s.inside(name), args...)
	}
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// commandAs is command, run by another user if this process is root: servers
// refuse to run as root.
func (s *Server) commandAs(t testing.TB, user, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.command(name, args...)
	if os.Getuid() != 0 {
		return cmd
	}
	uid, gid := lookup(t, user)
	if s.root != "" {
		in := inRoot(s.root, fmt.Sprintf("%d:%d", uid, gid), s.inside(name), args...)
		in.Env = cmd.Env
		return in
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	cmd.Dir = "/"
	return cmd
}

// inside is a program's path as the tree sees it.
func (s *Server) inside(name string) string {
	return strings.TrimPrefix(filepath.Join(s.Bin, name), s.root)
}
