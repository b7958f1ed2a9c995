package dumper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a tool that runs a script.
func shell(script string) *tool {
	return &tool{path: "/bin/sh", args: []string{"-c", script}, env: []string{"PATH=/usr/bin:/bin"}}
}

// deadline ends a test that would hang.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestToolOutput(t *testing.T) {
	reason := errors.New("the disk is full")
	for name, test := range map[string]struct {
		script string
		stall  time.Duration
		w      io.Writer
		check  func(error) bool
	}{
		"ends well":         {script: "echo hello", check: func(err error) bool { return err == nil }},
		"exits late":        {script: "echo hello; echo oops >&2; exit 3", check: isExit(3, 0, "oops")},
		"killed":            {script: "echo hello; kill -9 $$", check: isExit(-1, syscall.SIGKILL, "")},
		"terminated":        {script: "kill -15 $$", check: isExit(-1, syscall.SIGTERM, "")},
		"no such program":   {script: "", check: func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"stalls":            {script: "echo hello; exec sleep 600", stall: 50 * time.Millisecond, check: isStall},
		"stalls after EOF":  {script: "echo hello; exec >&-; exec sleep 600", stall: 50 * time.Millisecond, check: isStall},
		"ignores SIGTERM":   {script: "trap '' TERM; echo; exec >&-; while :; do sleep 1; done", stall: 50 * time.Millisecond, check: isStall},
		"its reader fails":  {script: "exec yes", w: writerFunc(func([]byte) (int, error) { return 0, reason }), check: func(err error) bool { return err == reason }},
		"a slow reader":     {script: "head -c 3000000 /dev/zero", stall: 200 * time.Millisecond, w: slow{300 * time.Millisecond, 2}.writer(), check: func(err error) bool { return err == nil }},
		"leaves its child":  {script: "sleep 600 & exit 1", check: isExit(1, 0, "")},
		"stderr has a tail": {script: "head -c 100000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1", check: func(err error) bool { return len(err.Error()) < 5000 && strings.HasSuffix(err.Error(), "the end") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tool := shell(test.script)
			if test.script == "" {
				tool.path = "/no/such/program"
			}
			tool.stall = test.stall
			w := test.w
			if w == nil {
				w = io.Discard
			}
			if err := tool.output(deadline(t), w); !test.check(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

func isExit(code int, sig syscall.Signal, stderr string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*ExitError](err)
		return ok && e.Code == code && e.Signal == sig && e.Stderr == stderr
	}
}

func isStall(err error) bool {
	_, ok := errors.AsType[*StallError](err)
	return ok
}

// slow is a reader of a tool that takes its time for the first few pieces.
type slow struct {
	pause time.Duration
	times int
}

func (s slow) writer() io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		if s.times--; s.times >= 0 {
			<-time.After(s.pause)
		}
		return len(b), nil
	})
}

// TestToolLargePieces: a tool that writes little at a time is read in large pieces.
func TestToolLargePieces(t *testing.T) {
	var sizes []int
	err := shell("dd if=/dev/zero bs=4096 count=1000 2>/dev/null").output(deadline(t), writerFunc(func(b []byte) (int, error) {
		sizes = append(sizes, len(b))
		return len(b), nil
	}))
	if err != nil || len(sizes) != (4096*1000+copySize-1)/copySize {
		t.Errorf("%v, pieces of %v", err, sizes)
	}
}

func TestToolCancel(t *testing.T) {
	reason := errors.New("enough")
	for name, run := range map[string]func(ctx context.Context, tl *tool, cancel func()) error{
		"output": func(ctx context.Context, tl *tool, cancel func()) error {
			return tl.output(ctx, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }))
		},
		"input": func(ctx context.Context, tl *tool, cancel func()) error {
			return tl.input(ctx, readerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }), io.Discard)
		},
		"input that has ended": func(ctx context.Context, tl *tool, cancel func()) error {
			return tl.input(ctx, strings.NewReader("x"), writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(deadline(t))
			if err := run(ctx, shell("head -c 1000000 /dev/zero; exec sleep 600"), func() { cancel(reason) }); err != reason {
				t.Errorf("%v", err)
			}
			if err := run(ctx, shell("exit 0"), func() {}); err != reason {
				t.Errorf("begun after the end: %v", err)
			}
		})
	}
}

// TestToolInputNeverEndsOnError: a tool that sees its input end commits, so it may
// see that only at the end of all data. The script notes that it has seen it.
func TestToolInputNeverEndsOnError(t *testing.T) {
	broken := errors.New("the stream broke")
	seen := filepath.Join(t.TempDir(), "seen")
	script := "cat >/dev/null; : >" + seen
	half := func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), errReader{broken})
	}

	naive := exec.Command("/bin/sh", "-c", script)
	naive.Stdin = half()
	if err := naive.Run(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if os.Remove(seen) != nil {
		t.Fatal("os/exec has become careful: the plain way would do")
	}
	if err := shell(script).input(deadline(t), half(), io.Discard); err != broken {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(seen); err == nil {
		t.Error("the tool saw the end of its input")
	}
	if err := shell(script).input(deadline(t), strings.NewReader("whole"), io.Discard); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(seen); err != nil {
		t.Error("the tool did not see the end of whole input")
	}
}

func TestToolInput(t *testing.T) {
	data := strings.Repeat("0123456789", 300_000)
	var out bytes.Buffer
	if err := shell("cat").input(deadline(t), strings.NewReader(data), &out); err != nil || out.String() != data {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	endless := readerFunc(func(b []byte) (int, error) { return len(b), nil })
	if err := shell("head -c 10; echo no >&2; exit 2").input(deadline(t), endless, io.Discard); !isExit(2, 0, "no")(err) {
		t.Errorf("%v", err)
	}
	wantError(t, shell("head -c 10").input(deadline(t), endless, io.Discard), "before it had read all of its input")
	if err := shell("cat >/dev/null; exit 4").input(deadline(t), strings.NewReader(data), io.Discard); !isExit(4, 0, "")(err) {
		t.Errorf("%v", err)
	}
}

// TestToolBusy: a tool that takes nothing is not stalled while its server works.
func TestToolBusy(t *testing.T) {
	over := errors.New("the server does nothing")
	for name, test := range map[string]struct {
		script string
		r      io.Reader
	}{
		"in the middle": {"exec sleep 600", strings.NewReader(strings.Repeat("x", 3<<20))},
		"at the end":    {"cat >/dev/null; exec sleep 600", strings.NewReader("x")},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			tl := shell(test.script)
			tl.stall = 30 * time.Millisecond
			tl.busy = func(context.Context) error {
				if asked++; asked < 4 {
					return nil
				}
				return over
			}
			if err := tl.input(deadline(t), test.r, io.Discard); err != over || asked != 4 {
				t.Errorf("%v after %d questions", err, asked)
			}
		})
	}
}

// TestToolSecret: a secret is neither in the environment nor on the command line,
// and the file that holds it can be read twice but not by others.
func TestToolSecret(t *testing.T) {
	t.Setenv("DBACKED_TEST_LEAK", "not for tools")
	tl := shell(`cat ` + secretFile + ` ` + secretFile + `; stat -L -c %a ` + secretFile + `; tr '\0' ' ' </proc/$$/cmdline; env; (printf "password is "; cut -c3- ` + secretFile + `) >&2; exit 1`)
	tl.secret, tl.password = []byte("*:sec:ret\n"), "sec:ret"
	var out bytes.Buffer
	err := tl.output(deadline(t), &out)
	wantError(t, err, "password is [secret]")
	if strings.Count(out.String(), "sec:ret") != 2 || !strings.Contains(out.String(), "\n600\n") || strings.Contains(out.String(), "LEAK") {
		t.Errorf("%s", &out)
	}
}

// TestToolDiesWithItsParent kills a process that runs a tool, as a kernel out of
// memory does. The tool holds a pipe open, which ends when the tool does.
func TestToolDiesWithItsParent(t *testing.T) {
	if fifo := os.Getenv("DBACKED_TEST_FIFO"); fifo != "" {
		err := shell("exec 5>"+fifo+"; echo up >&5; exec sleep 600").output(t.Context(), io.Discard)
		t.Fatalf("the tool ended: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "-test.run=^TestToolDiesWithItsParent$")
	parent.Env = append(os.Environ(), "DBACKED_TEST_FIFO="+fifo)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(fifo) // waits for the tool to open it
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	up := make([]byte, 3)
	if _, err := io.ReadFull(r, up); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := r.Read(up); err != io.EOF {
		t.Errorf("the tool lives on: %v", err)
	}
}

// TestToolClean strikes out a password that is no UTF-8, too.
func TestToolClean(t *testing.T) {
	tl := &tool{password: "s\xffcret"}
	if got := tl.clean("no \xfe\nfor s\xffcret\n"); got != "no ?\nfor [secret]" {
		t.Errorf("%q", got)
	}
}
