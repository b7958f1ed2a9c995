package dbtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Pooler starts a PgBouncer before a PostgreSQL server, which gives each
// transaction whatever session is free, and returns its port on 127.0.0.1.
func Pooler(t testing.TB, server *Server) (port int) {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	Need(t, "the package pgbouncer", err)
	s := &Server{Dir: tempDir(t)}
	mkdirFor(t, s.Dir, "postgres")
	port = freePort(t)
	users := filepath.Join(s.Dir, "users")
	settings := filepath.Join(s.Dir, "pgbouncer.ini")
	for file, text := range map[string]string{
		users: fmt.Sprintf("%q \"\"\n", server.User),
		settings: fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
			"auth_type = trust\nauth_file = %s\npool_mode = transaction\n", server.Port, port, users),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, settings)
	cmd.Dir = "/"
	if os.Getuid() == 0 { // which it refuses to run as
		uid, gid := lookup(t, "postgres")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	s.daemon(t, cmd, func() error {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return port
}
