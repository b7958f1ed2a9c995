package dbtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// MariaDB starts the MariaDB that Debian 12 brings. Its root may do all without
// a password; there is no anonymous user. Settings are options for mariadbd.
func MariaDB(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{Engine: "mariadb", Version: "10.11", User: "root", Bin: "/usr/bin", Port: freePort(t)}
	if _, err := os.Stat("/usr/sbin/mariadbd"); err != nil {
		Need(t, "the package mariadb-server", err)
	}
	data := s.mysqlDir(t)
	install := exec.Command("/usr/bin/mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--tmpdir="+s.Dir)
	run(t, install)
	s.mysqld(t, exec.Command("/usr/sbin/mariadbd", append(s.mysqldArgs(data, settings), "--user=mysql")...))
	s.SQL(t, "", "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES")
	return s
}

// MariaDBFrom starts the MariaDB 11 of a tree that Chroot made.
func MariaDBFrom(t testing.TB, root string, settings ...string) *Server {
	t.Helper()
	s := &Server{Engine: "mariadb", Version: "11", User: "root", Bin: filepath.Join(root, "usr/bin"), root: root, Port: freePort(t)}
	data := s.mysqlDir(t)
	uid, gid := lookup(t, "mysql") // by number: the tree's own may differ
	user := fmt.Sprintf("%d:%d", uid, gid)
	run(t, inRoot(root, user, "/usr/bin/mariadb-install-db", "--no-defaults", "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--tmpdir="+s.Dir))
	s.mysqld(t, inRoot(root, user, "/usr/sbin/mariadbd", s.mysqldArgs(data, settings)...))
	s.SQL(t, "", "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES")
	return s
}

// MySQLFrom starts the MySQL of a tree that Chroot made.
func MySQLFrom(t testing.TB, root string, settings ...string) *Server {
	t.Helper()
	s := &Server{Engine: "mysql", Version: "9", User: "root", Bin: filepath.Join(root, "usr/bin"), root: root, Port: freePort(t)}
	data := s.mysqlDir(t)
	uid, gid := lookup(t, "mysql") // by number: the tree does not know the name
	user := fmt.Sprintf("%d:%d", uid, gid)
	run(t, inRoot(root, user, "/usr/sbin/mysqld", "--no-defaults", "--initialize-insecure", "--datadir="+data, "--tmpdir="+s.Dir))
	args := s.mysqldArgs(data, append([]string{"--secure-file-priv=", "--mysqlx=OFF"}, settings...))
	s.mysqld(t, inRoot(root, user, "/usr/sbin/mysqld", args...))
	return s
}

func (s *Server) mysqlDir(t testing.TB) (data string) {
	t.Helper()
	s.Dir = tempDir(t)
	mkdirFor(t, s.Dir, "mysql")
	s.Socket = filepath.Join(s.Dir, "s.sock")
	data = filepath.Join(s.Dir, "data")
	mkdirFor(t, data, "mysql")
	return data
}

func (s *Server) mysqldArgs(data string, settings []string) []string {
	// A folder of its own for temporary tables: at its start a server removes
	// those that it finds, another server's too.
	return append([]string{
		"--no-defaults", "--datadir=" + data, "--socket=" + s.Socket, "--tmpdir=" + s.Dir,
		fmt.Sprintf("--port=%d", s.Port), "--bind-address=127.0.0.1", "--pid-file=" + filepath.Join(s.Dir, "pid"),
		"--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=1G", "--event-scheduler=OFF",
	}, settings...)
}

func (s *Server) mysqld(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	s.daemon(t, cmd, func() error {
		_, err := s.TrySQL("", "SELECT 1")
		return err
	})
}

// client is the command-line client, reading statements from its input.
func (s *Server) client(db string) *exec.Cmd {
	if s.Engine == "postgresql" {
		return s.psql(db)
	}
	args := []string{
		"--no-defaults", "--socket=" + s.Socket, "-u", s.User, "--batch", "--skip-column-names",
		"--default-character-set=utf8mb4", "--max-allowed-packet=1G",
	}
	if db != "" {
		args = append(args, db)
	}
	return s.command(s.program("mariadb", "mysql"), args...)
}

func (s *Server) program(mariadb, mysql string) string {
	if s.Engine == "mariadb" {
		return mariadb
	}
	return mysql
}

// headers begin the lines that name the host, the database and the version.
var headers = []string{"-- MariaDB dump", "-- MySQL dump", "-- Host:", "-- Server version", "/*!999999", "/*M!999999"}

func withoutHeader(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(line, h) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func (s *Server) plainMySQL(t testing.TB, db string) string {
	t.Helper()
	args := []string{
		"--no-defaults", "--socket=" + s.Socket, "-u", s.User, "--single-transaction", "--routines", "--triggers", "--events",
		"--hex-blob", "--skip-dump-date", "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
	}
	if s.Engine == "mysql" {
		args = append(args, "--set-gtid-purged=OFF", "--no-tablespaces")
	}
	out := run(t, s.command(s.program("mariadb-dump", "mysqldump"), append(args, db)...))
	return withoutHeader(out)
}
