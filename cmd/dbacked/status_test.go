package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// host is a machine with instances.
type host struct {
	t        *testing.T
	etc, run string
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "host") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{t, dir + "/etc", dir + "/run"}
	for _, d := range []string{h.etc, h.run} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

// configured writes env files.
func (h *host) configured(names ...string) {
	h.t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(h.etc, name+".env"), nil, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
}

// says is an agent that says always the same.
type says agent.Status

func (s says) Status() agent.Status { return agent.Status(s) }

func (says) Request() (uint64, error) { return 0, agent.ErrStopping }

// listens opens an instance's socket.
func (h *host) listens(name string) net.Listener {
	h.t.Helper()
	l, err := net.Listen("unix", filepath.Join(h.run, name+".sock"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	return l
}

// serves has an agent's server answer on the socket.
func (h *host) serves(s agent.Status) {
	h.t.Helper()
	l := h.listens(s.Instance)
	server := agent.NewServer(agent.NewHandler(says(s), nil))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	h.t.Cleanup(func() {
		server.Close()
		<-done
	})
}

// status runs dbacked status.
func (h *host) status(args ...string) *result {
	h.t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"status", "--config-directory", h.etc, "--run-directory", h.run}, args...)
	code := run(h.t.Context(), args, &screen{out: &out, err: &errs}, nil)
	return &result{t: h.t, args: args, code: code, out: out.String(), err: errs.String()}
}

// healthy is an agent that has all it wants.
func healthy(name string) agent.Status {
	started := time.Now().Add(-3*time.Hour - time.Minute).UTC()
	return agent.Status{
		Version: agent.StatusVersion, Instance: name, State: agent.StateIdle, Healthy: true, Schedule: "@daily", Runs: []agent.Run{},
		Failures: map[string]uint64{}, Next: new(time.Now().Add(9*time.Hour + time.Minute).UTC()),
		Newest: &agent.Backup{ID: "20261124T010011Z-005ccd", Started: started, Finished: started.Add(time.Minute), PlainBytes: 5.1e9, StoredBytes: 1.3e9},
	}
}

func sick(name, problem string) agent.Status {
	s := healthy(name)
	s.State, s.Healthy, s.Problem = agent.StateRetrying, false, problem
	return s
}

func busy(name string) agent.Status {
	s := healthy(name)
	s.State, s.Next = agent.StateRunning, nil
	s.Running = &agent.Running{Number: 2, Stage: "dump", PlainBytes: 340e6, BytesPerSecond: 41e6}
	return s
}

// rows are the table's lines, as fields by the name in the first.
func rows(table string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(table) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			break
		}
		all[name] = strings.Join(strings.Fields(rest), " ")
	}
	return all
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.configured("shop", "wiki", "forum", "old")
	h.serves(healthy("shop"))
	h.serves(busy("wiki"))
	h.serves(sick("forum", "the last backup failed: dump: pg_dump: error\nto mend it: \x1b[31mGRANT SELECT"))
	h.serves(healthy("elsewhere")) // started by hand, without an env file
	r := h.status().ok()
	for name, want := range map[string]string{
		"NAME":      "STATE NEXT LAST SIZE",
		"shop":      "idle in 9 hours 3 hours ago 5.1 GB, 1.3 GB stored",
		"elsewhere": "idle in 9 hours 3 hours ago 5.1 GB, 1.3 GB stored",
		"wiki":      "running now: dump, 340 MB, 41 MB/s 3 hours ago 5.1 GB, 1.3 GB stored",
		"forum":     "retrying in 9 hours 3 hours ago 5.1 GB, 1.3 GB stored",
		"old":       "stopped – – –",
	} {
		if got := rows(r.out)[name]; got != want {
			t.Errorf("%s: %q instead of %q", name, got, want)
		}
	}
	r.says("\nforum: the last backup failed: dump: pg_dump: error\n  to mend it: \uFFFD[31mGRANT SELECT\n", "\nold: no agent is running", "systemctl enable --now dbacked@old")
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("colours, and no terminal: %q", r.out)
	}
	one := h.status("wiki").ok()
	if len(rows(one.out)) != 2 || rows(one.out)["wiki"] == "" {
		t.Errorf("of one: %s", one)
	}
}

func TestStatusIsColoredOnATerminal(t *testing.T) {
	t.Parallel()
	all := []seen{{Status: healthy("a")}, {Status: sick("b", "x")}, {Status: agent.Status{Instance: "c", State: agent.StateStarting}}}
	text := statusTable(&screen{color: true}, all, time.Now())
	for _, want := range []string{green + "idle" + reset, red + "retrying" + reset, yellow + "starting" + reset} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	// Colours do not move the columns.
	if plain := statusTable(&screen{}, all, time.Now()); escapes.ReplaceAllString(text, "") != plain {
		t.Errorf("%q\n%q", text, plain)
	}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.configured("old")
	h.serves(busy("shop"))
	var all []map[string]any
	r := h.status("--json").ok()
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 2 {
		t.Fatalf("%v: %s", err, r)
	}
	if old := all[0]; old["instance"] != "old" || old["state"] != "stopped" || old["healthy"] != false || len(old) != 5 {
		t.Errorf("%v", old)
	}
	if shop := all[1]; shop["instance"] != "shop" || shop["running"].(map[string]any)["plainBytes"] != 340e6 || shop["newest"] == nil {
		t.Errorf("%v", shop)
	}
}

func TestStatusCheck(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.serves(healthy("shop"))
	if r := h.status("--check").ok(); r.out+r.err != "" {
		t.Errorf("all is well, and it says %s", r)
	}
	h.serves(sick("forum", "the last backup failed:\n  disk full"))
	h.configured("old")
	h.status("--check", "shop").ok()
	r := h.status("--check").ends(exitFailure, "2 of 3 instances are not healthy")
	r.says("forum: retrying: the last backup failed: disk full\n", "old: stopped: no agent is running")
	if n := strings.Count(r.out, "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, r)
	}
	h.status("--check", "old").ends(exitFailure, "old is not healthy").says("old: stopped")
}

// TestStatusOfASilentAgent: a socket that systemd holds while its service does
// not come up takes connections, and nobody answers.
func TestStatusOfASilentAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.listens("shop")
	h.listens("wiki")
	began := time.Now()
	r := h.status().ok().says("no answer within 2s", "journalctl -u dbacked@shop")
	if took := time.Since(began); took > 2*answerLimit {
		t.Errorf("two silent agents took %s", took)
	}
	if got := rows(r.out)["shop"]; !strings.HasPrefix(got, stateUnreachable) {
		t.Errorf("%s", r)
	}
	left := newHost(t) // a socket whose agent was killed
	l := left.listens("shop")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	left.status("shop").ok().says("stopped", "no agent is running")
}

// TestStatusOfWhatIsNoAgent reads only so much of an answer, and believes little.
func TestStatusOfWhatIsNoAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	l := h.listens("shop")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Who closes what he did not read of resets it, and the answer with it.
			http.ReadRequest(bufio.NewReader(c))
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\x1b[2Jbad"))
			c.Close()
		}
	}()
	r := h.status().ok().says("shop", stateUnreachable, "answers what is no answer")
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("%s", r)
	}
	l.Close()
	<-done
}

// TestStatusWithoutRights is what a user sees who is not in the group.
func TestStatusWithoutRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		dbtest.Need(t, "root", fs.ErrPermission)
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	h := newHost(t)
	h.serves(healthy("shop"))
	if err := os.Chmod(h.run+"/shop.sock", 0o660); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(h.run), "dbacked")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("install", "-m", "755", binary, program).Run(); err != nil {
		t.Fatal(err)
	}
	asNobody := func(args ...string) (string, error) {
		c := exec.Command(program, append([]string{"status", "--config-directory", h.etc, "--run-directory", h.run}, args...)...)
		c.Env, c.Dir = []string{"GORACE=atexit_sleep_ms=0"}, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := asNobody(); err != nil || !strings.Contains(out, "unreachable") || !strings.Contains(out, "sudo dbacked status shop") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := asNobody("--check"); err == nil {
		t.Errorf("what cannot be seen is healthy: %s", out)
	}
	if err := os.Chmod(h.etc, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := asNobody(); err == nil || !strings.Contains(out, "sudo dbacked status") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := asNobody("shop"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestGuess: the words for an agent that does not answer, by what systemd knows.
func TestGuess(t *testing.T) {
	t.Parallel()
	units := parseUnits(`ExecMainStatus=78
Id=dbacked@failed.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code

ExecMainStatus=1
Id=dbacked@again.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
Result=watchdog

ExecMainStatus=0
Id=dbacked@off.service
LoadState=loaded
ActiveState=inactive
SubState=dead
Result=success

Id=dbacked@my-db.example.service
LoadState=loaded
ActiveState=activating
SubState=start
Result=success

Id=dbacked@active.service
LoadState=loaded
ActiveState=active
SubState=running

Id=dbacked@nounit.service
LoadState=not-found
ActiveState=inactive
`)
	for name, want := range map[string]struct {
		err   error
		state string
		says  string
	}{
		"failed":        {errNotRunning, stateFailed, "exit status 78, the configuration is wrong"},
		"again":         {context.DeadlineExceeded, stateRestarting, "(watchdog)"},
		"off":           {errNotRunning, stateStopped, "sudo systemctl enable --now dbacked@off"},
		"my-db.example": {context.DeadlineExceeded, agent.StateStarting, "journalctl -u dbacked@my-db.example"},
		"active":        {errNotRunning, stateUnreachable, "nothing listens on its socket"},
		"nounit":        {errNotRunning, stateStopped, "dbacked agent nounit"},
	} {
		if state, problem := guess(name, want.err, units[name]); state != want.state || !strings.Contains(problem, want.says) {
			t.Errorf("%s: %s, %s", name, state, problem)
		}
	}
	if state, problem := guess("active", fs.ErrPermission, units["active"]); state != stateUnreachable || !strings.Contains(problem, "sudo dbacked status active") {
		t.Errorf("%s, %s", state, problem)
	}
}

// TestStatusOfARealAgent watches a backup from the outside, on a terminal.
func TestStatusOfARealAgent(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(1000)
	b.fifo("here")
	b.fifo("go")
	b.wrap(postgres.dump, stages["half through a dump"])
	r, running := b.agentOf(newManager(t))
	r.reached(b.path("here"))
	look := b.onTerminal("status", "--watch", "--run-directory", b.dir)
	look.expect("running")
	look.expect("now: dump")
	b.must(os.WriteFile(b.path("go"), []byte("go\n"), 0))
	look.expect("idle")
	look.expect("stored")
	look.types(ctrlC)
	look.exits(exitOK)
	awaits(t, running, "the end", func(s agent.Status) bool { return s.Successes == 1 })
	b.run("status", "--check", "--run-directory", b.dir).ok()
	b.run("status", "shop", "--json", "--run-directory", b.dir).ok().says(b.list()[0], `"healthy": true`)
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok()
	b.run("status", "--check", "--run-directory", b.dir).ends(exitFailure).says("shop: stopped")
}
