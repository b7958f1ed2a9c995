package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell is a command that runs a script.
func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Grace: 20 * time.Second, Tail: 4 << 10, OnDeath: syscall.SIGKILL}
}

func start(t *testing.T, c Command) *Process {
	t.Helper()
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   *ExitError
		text   string
	}{
		"well":                {"echo hello >&2", nil, ""},
		"with a status":       {"echo oops >&2; exit 3", &ExitError{"sh", 3, 0, "oops\n"}, "sh failed: exit status 3: oops\n"},
		"killed":              {"kill -9 $$", &ExitError{"sh", -1, syscall.SIGKILL, ""}, "sh failed: killed by signal 9 (killed); the kernel does this when memory runs out: see dmesg"},
		"terminated":          {"kill -15 $$", &ExitError{"sh", -1, syscall.SIGTERM, ""}, "sh failed: killed by signal 15 (terminated)"},
		"leaving a child":     {"sleep 600 & exit 1", &ExitError{"sh", 1, 0, ""}, "sh failed: exit status 1"},
		"having said a lot":   {"head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1", &ExitError{"sh", 1, 0, strings.Repeat("x", 4<<10-4) + "end\n"}, ""},
		"with too long a out": {"head -c 100000 /dev/zero; exit 0", &ExitError{"sh", -1, 0, "more than 1000 bytes of output"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := &Output{Limit: 1000}
			c := shell(test.script)
			c.Stdout = out
			err := start(t, c).Wait()
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			got, ok := errors.AsType[*ExitError](err)
			if !ok || *got != *test.want || test.text != "" && err.Error() != test.text {
				t.Errorf("%q: %+v", err, got)
			}
		})
	}
}

func TestNoSuchProgram(t *testing.T) {
	if _, err := Start(Command{Path: "/no/such/program"}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "starting /no/such/program") {
		t.Errorf("%v", err)
	}
}

// TestInheritsNothing looks at what a program gets of this process.
func TestInheritsNothing(t *testing.T) {
	t.Setenv("DBACKED_TEST_LEAK", "not for programs")
	out := &Output{Limit: 1 << 20}
	if err := start(t, Command{Path: "/usr/bin/env", Stdout: out}).Wait(); err != nil {
		t.Fatal(err)
	}
	if b, err := out.Bytes(); err != nil || len(b) > 0 {
		t.Errorf("its environment is %q, %v", b, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := shell("echo hello >&3; cat") // there is nothing to read
	c.Files = []*os.File{w}
	if err := start(t, c).Wait(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "hello\n" {
		t.Errorf("it wrote %q, %v", b, err)
	}
}

// TestSaid cleans what a program says, while it runs too.
func TestSaid(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := shell("echo a secret >&2; echo; read line; exit 1")
	c.Stdin, c.Stdout = r, &Output{Limit: 10}
	c.Clean = func(text string) string { return strings.ReplaceAll(text, "secret", "…") }
	p := start(t, c)
	w.Close()
	e, ok := errors.AsType[*ExitError](p.Wait())
	if !ok || e.Stderr != "a …\n" || p.Stderr() != "a …\n" {
		t.Errorf("%+v, %q", e, p.Stderr())
	}
}

// fifo is a pipe that a script opens, and that ends when all who hold it do.
type fifo struct {
	path string
	t    *testing.T
}

func newFIFO(t *testing.T) fifo {
	t.Helper()
	f := fifo{filepath.Join(t.TempDir(), "fifo"), t}
	if err := syscall.Mkfifo(f.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// held is a script that opens the pipe, says so and goes on.
func (f fifo) held(script string) string { return "exec 5>" + f.path + "; echo up >&5; " + script }

// up waits until the pipe is open; ended, which it returns, until it is not.
func (f fifo) up() (ended func()) {
	f.t.Helper()
	r, err := os.Open(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { r.Close() })
	line := make([]byte, 3)
	if _, err := io.ReadFull(r, line); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		f.t.Helper()
		r.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := r.Read(line); err != io.EOF {
			f.t.Errorf("something lives on: %v", err)
		}
	}
}

// TestStopped ends programs that do, and do not, as they are asked, with what they
// started.
func TestStopped(t *testing.T) {
	for name, test := range map[string]struct {
		before, script string
		grace          time.Duration
		stop           func(*Process)
		want           syscall.Signal
		code           int
	}{
		"ends":         {"", "exec sleep 600", 20 * time.Second, (*Process).End, syscall.SIGTERM, -1},
		"ends cleanly": {"trap 'exit 7' TERM; ", "while :; do sleep 0.01; done", 20 * time.Second, (*Process).End, 0, 7},
		"will not end": {"trap '' TERM; ", "while :; do sleep 1; done", 50 * time.Millisecond, (*Process).End, syscall.SIGKILL, -1},
		"is killed":    {"", "exec sleep 600", 20 * time.Second, (*Process).Kill, syscall.SIGKILL, -1},
		"has a child":  {"", "sleep 600 & wait", 20 * time.Second, (*Process).End, syscall.SIGTERM, -1},
		"deaf child":   {"", "(trap '' TERM; exec sleep 600) & exec sleep 600", 20 * time.Second, (*Process).End, syscall.SIGTERM, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFIFO(t)
			c := shell(test.before + f.held(test.script))
			c.Grace = test.grace
			p := start(t, c)
			ended := f.up()
			test.stop(p)
			test.stop(p) // again does nothing
			select {
			case <-p.Done():
			default:
				t.Error("it goes on")
			}
			e, ok := errors.AsType[*ExitError](p.Wait())
			if !ok || e.Signal != test.want || e.Code != test.code {
				t.Errorf("%v", e)
			}
			ended()
		})
	}
}

// TestOnDeath kills a process that runs a program, as a kernel out of memory does.
func TestOnDeath(t *testing.T) {
	if path := os.Getenv("DBACKED_TEST_FIFO"); path != "" {
		err := start(t, shell(fifo{path, t}.held("exec sleep 600"))).Wait()
		t.Fatalf("the program ended: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := newFIFO(t)
	parent := exec.Command(self, "-test.run=^TestOnDeath$")
	parent.Env = append(os.Environ(), "DBACKED_TEST_FIFO="+f.path)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := f.up()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	ended()
}
