package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/agent"
)

// manager is what systemd is to an agent: it hears what is notified.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
	all  []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := dir + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t: t, conn: conn, path: path}
}

// hears waits for a notification that holds all of these.
func (m *manager) hears(parts ...string) string {
	m.t.Helper()
	buf := make([]byte, 8192)
	if err := m.conn.SetReadDeadline(time.Now().Add(runTimeout / 2)); err != nil {
		m.t.Fatal(err)
	}
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("never heard %q, only %q", parts, m.all)
		}
		text := string(buf[:n])
		m.all = append(m.all, text)
		if containsAll(text, parts) {
			return text
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// agentOf starts an agent whose status is served on a socket.
func (b *bed) agentOf(m *manager, args ...string) (*running, *runningAgent) {
	b.t.Helper()
	with := b.with("NOTIFY_SOCKET", m.path, "DBACKED_LISTEN", b.path("shop.sock"))
	r := with.start(nil, append([]string{"agent", "shop"}, args...)...)
	m.hears("READY=1")
	return r, newRunningAgent(b.dir, "shop")
}

// awaits asks an agent until its status is as wanted.
func awaits(t *testing.T, running *runningAgent, what string, is func(agent.Status) bool) agent.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout/2)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := running.status(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		if is(s) {
			return s
		}
		<-tick.C
	}
}

// TestAgentLives makes the first backup at once, another on request and on
// SIGUSR1, and stops with status 0.
func TestAgentLives(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(1000)
		m := newManager(t)
		r, running := b.agentOf(m)
		m.hears("STATUS=idle, next backup", ", ok")
		if _, err := running.backup(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaits(t, running, "the second backup", func(s agent.Status) bool { return s.Successes == 2 })
		b.must(r.cmd.Process.Signal(syscall.SIGUSR1))
		s := awaits(t, running, "the third backup", func(s agent.Status) bool { return s.Successes == 3 })
		if !s.Healthy || s.Newest == nil || len(s.Runs) != 3 || s.Runs[0].Number != 3 {
			t.Errorf("%+v", s)
		}
		findings, err := running.check(t.Context())
		if err != nil || len(findings) < 5 {
			t.Errorf("check: %v, %v", findings, err)
		}
		b.must(r.cmd.Process.Signal(syscall.SIGTERM))
		m.hears("STOPPING=1")
		r.wait().ok(`"event":"agent-ready"`, `"event":"backup-proved"`, `"event":"agent-stopping"`)
		if ids := b.list(); len(ids) != 3 {
			t.Errorf("listed: %v", ids)
		}
		b.wantComplete(b.list())
	})
}

// TestAgentStopsInMidBackup: the tool ends, nothing half-made stays, and it does
// not take long.
func TestAgentStopsInMidBackup(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(3000)
		b.fifo("here")
		b.fifo("go")
		b.wrap(e.dump, stages["half through a dump"])
		r, _ := b.agentOf(newManager(t))
		tool := watch(t, atoi(t, r.reached(b.path("here"))))
		start := time.Now()
		b.must(r.cmd.Process.Signal(syscall.SIGTERM))
		r.wait().ok(`"event":"backup-cancelled"`)
		tool.ends(t)
		if took := time.Since(start); took > stopLimit {
			t.Errorf("it took %s to end", took)
		}
		if left := b.stored(); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// TestAgentDrains finishes the run at hand and exits with 75, which makes systemd
// start what was installed meanwhile.
func TestAgentDrains(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(3000)
	b.fifo("here")
	b.fifo("go")
	b.wrap(postgres.dump, stages["half through a dump"])
	r, running := b.agentOf(newManager(t))
	r.reached(b.path("here"))
	b.must(r.cmd.Process.Signal(syscall.SIGUSR2))
	awaits(t, running, "draining", func(s agent.Status) bool { return s.State == agent.StateDraining && s.Running != nil })
	if _, err := running.backup(t.Context()); err == nil {
		t.Error("an agent that drains takes a request")
	}
	b.must(os.WriteFile(b.path("go"), []byte("go\n"), 0))
	r.wait().ends(exitAgain)
	b.wantComplete(b.list())
	if len(b.list()) != 1 {
		t.Errorf("listed: %v", b.list())
	}
}

// TestAgentBears: a store or a database that is away is told, never an end.
func TestAgentBears(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	b.must(os.Rename(b.path("storage"), b.path("away")))
	r, running := b.agentOf(newManager(t))
	s := awaits(t, running, "the store away", func(s agent.Status) bool { return s.State == agent.StateRetrying })
	if s.Healthy || !strings.Contains(s.Problem, "storage") {
		t.Errorf("the store is away: %+v", s)
	}
	b.must(os.Rename(b.path("away"), b.path("storage")))
	b.wrap(postgres.dump, `echo "pg_dump: error: connection to server failed" >&2; exit 1`)
	if _, err := running.backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = awaits(t, running, "the failure", func(s agent.Status) bool { return s.Failures["dump"] == 1 })
	if s.Healthy || !strings.Contains(s.Problem, "connection to server failed") || s.Next == nil {
		t.Errorf("the database is away: %+v", s)
	}
	b.unwrap(postgres.dump)
	if _, err := running.backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = awaits(t, running, "the backup", func(s agent.Status) bool { return s.Successes == 1 })
	if !s.Healthy {
		t.Errorf("%+v", s)
	}
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok(`"event":"waiting"`, `"event":"backup-failed"`, `"event":"backup-proved"`)
}

// TestAgentPrunes: a proved backup is followed by the removal of what is kept no
// longer.
func TestAgentPrunes(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.configure("DBACKED_KEEP_LAST", "2", "DBACKED_KEEP_MINIMUM", "1ns")
	r, running := b.agentOf(newManager(t))
	for n := range uint64(4) {
		awaits(t, running, "a backup", func(s agent.Status) bool { return s.Successes == n+1 && s.Running == nil })
		if _, err := running.backup(t.Context()); n < 3 && err != nil {
			t.Fatal(err)
		}
	}
	s := awaits(t, running, "the last backup", func(s agent.Status) bool { return s.Successes == 5 && s.Running == nil })
	for deadline := time.Now().Add(runTimeout / 2); len(b.list()) != 2 && time.Now().Before(deadline); {
		continue // the agent removes after it has told of the backup
	}
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok(`"older backup: removed"`)
	if ids := b.list(); len(ids) != 2 || ids[0] != s.Newest.ID {
		t.Errorf("listed: %v, the newest is %s", ids, s.Newest.ID)
	}
	b.backup() // removes what a prune that was stopped left of a backup without a manifest
	b.wantComplete(b.list())
}

func TestAgentRefusesWrongConfiguration(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	for _, wrong := range [][2]string{
		{"DBACKED_SCHEDULE", "61 * * * *"},
		{"DBACKED_TIMEZONE", "Mars/Olympus"},
		{"DBACKED_LISTEN", "127.0.0.1"},
		{"DBACKED_PUBLIC_KEY", "/nonexistent"},
		{"DBACKED_DUMPER_OPTIONS", "--enable-row-security"},
	} {
		m := newManager(t)
		b.with("NOTIFY_SOCKET", m.path, wrong[0], wrong[1]).run("agent", "shop").ends(exitConfig, wrong[0], `"event":"configuration-invalid"`)
		m.hears("ERRNO=78")
	}
}

// TestAgentAlone: one agent of an instance runs at a time; another name lets
// another one run.
func TestAgentAlone(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	r, _ := b.agentOf(newManager(t))
	b.run("agent", "shop").ends(exitAgain, "an agent of this name runs already")
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok()
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	b = b.with("DBACKED_LISTEN", b.path("shop.sock"))
	started := b.run("start-agent", "shop", "--daemon", "--daemon-name", "one").ok("runs as process", "agent.log")
	running := newRunningAgent(b.dir, "shop")
	s := awaits(t, running, "the first backup", func(s agent.Status) bool { return s.Successes == 1 })
	t.Cleanup(func() { _ = syscall.Kill(s.PID, syscall.SIGKILL) })
	if !strings.Contains(started.err, fmt.Sprintf("process %d;", s.PID)) {
		t.Errorf("its process is %d: %s", s.PID, started)
	}
	if sid, err := unix.Getsid(s.PID); err != nil || sid != s.PID {
		t.Errorf("session %d, %v", sid, err)
	}
	b.run("start-agent", "shop", "--daemon", "--daemon-name", "one").ends(exitAgain, "an agent of this name cannot start")
	b.with("NOTIFY_SOCKET", "/run/nobody").run("agent", "shop", "--daemon").ends(exitUsage, "refused under systemd")
	b.with("DBACKED_LISTEN", "/proc/nowhere").run("agent", "shop", "--daemon", "--daemon-name", "two").ends(exitFailure, "the daemon ended before it was ready", "DBACKED_LISTEN")
	daemon := watch(t, s.PID)
	b.must(syscall.Kill(s.PID, syscall.SIGTERM))
	daemon.ends(t)
}
