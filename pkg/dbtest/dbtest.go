// Package dbtest starts real database servers for tests: on free ports, in
// temporary folders, each stopped when its test ends.
//
// A test that needs what the machine does not have is skipped; where
// DBACKED_TEST_NO_SKIP=1 is set, as in CI, it fails instead.
package dbtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a server may take to answer.
const startTimeout = 2 * time.Minute

// Need ends the test if err says that the machine lacks what.
func Need(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
		t.Fatalf("this test needs %s: %v", what, err)
	}
	t.Skipf("this test needs %s: %v", what, err)
}

// Server is a database server that a test started.
type Server struct {
	Engine  string // "postgresql", "mariadb", "mysql"
	Version string // the major one: "15", "10.11", "9"
	Socket  string // PostgreSQL: its folder; MySQL: its path
	Port    int    // on 127.0.0.1
	User    string // who may do all, without a password
	Bin     string // folder of the programs of its version
	Dir     string // its own temporary folder

	root string // the chroot it runs in, or ""
	stop func(testing.TB)
}

// Stop ends the server at once, as a crash would.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.stop(t) }

// tempDir is t.TempDir with a short path, since a unix socket's has 107 bytes
// at most, that other users may enter.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freePort is a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func lookup(t testing.TB, name string) (uid, gid uint32) {
	t.Helper()
	u, err := user.Lookup(name)
	Need(t, "the user "+name, err)
	id, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	group, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(id), uint32(group)
}

// mkdirFor makes a folder that belongs to name.
func mkdirFor(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return
	}
	uid, gid := lookup(t, name)
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
}

// daemon starts a server program and arranges its end. Its end is awaited by a
// goroutine of its own, so that ready can tell a server that died from one that
// is slow.
func (s *Server) daemon(t testing.TB, cmd *exec.Cmd, ready func() error) {
	t.Helper()
	logPath := filepath.Join(s.Dir, "server.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		Need(t, cmd.Path, err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	s.stop = func(testing.TB) {
		// PostgreSQL's sessions are process groups of their own, and one that is
		// busy outlives its postmaster.
		sessions := children(cmd.Process.Pid)
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		for _, pid := range sessions {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		<-done
	}
	t.Cleanup(func() { s.stop(t) })

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-done:
			text, _ := os.ReadFile(logPath)
			t.Fatalf("%s ended instead of serving:\n%s", cmd.Path, text)
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v", cmd.Path, err)
		}
	}
}

// children are the processes that a process has started.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// run runs a command and returns what it wrote to its standard output.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &stderr)
	}
	return stdout.String(), nil
}
