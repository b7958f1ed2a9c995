package dbtest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// ClockVariable names, for a program that WithClock built, the file that holds by
// how many seconds its wall clock is wrong. The file may change at any time.
const ClockVariable = "TEST_CLOCK"

// WithClock builds a program of this module whose wall clock is wrong by what a
// file says, as if somebody had set the machine's, which no test may do: the same
// sources, but for the standard library's time.Now. What does not follow the wall
// clock, timers and the time since another, is as it is.
func WithClock(t testing.TB, folder, program string) {
	t.Helper()
	StartWithClock(t, folder, program)()
}

// StartWithClock is WithClock beside whatever else goes on; what it returns waits for
// the program.
func StartWithClock(t testing.TB, folder, program string) (wait func()) {
	t.Helper()
	dir := t.TempDir()
	root := strings.TrimSpace(run(t, exec.Command("go", "env", "GOROOT")))
	std := filepath.Join(root, "src", "time")
	overlay := map[string]string{}
	for name, source := range map[string]string{
		"time.go":    patched(t, filepath.Join(std, "time.go"), "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0", "\tsec, nsec, mono := runtimeNow()\n\tsec += wrongBy()\n\tif mono == 0"),
		"sleep.go":   patched(t, filepath.Join(std, "sleep.go"), "<- Now()", "<- sentNow()"),
		"wrongby.go": wrongBy,
	} {
		overlay[filepath.Join(std, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay"), "-o", program, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() { cancel(); _ = ended() })
	return func() {
		t.Helper()
		if err := ended(); err != nil {
			t.Fatalf("go build %s: %v\n%s", folder, err, &said)
		}
	}
}

// patched is a file of the standard library with one change.
func patched(t testing.TB, path, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), from) != 1 {
		t.Fatalf("%s is not what it was: change WithClock with it", path)
	}
	return strings.Replace(string(text), from, to, 1)
}

// wrongBy reads the file anew each time, but for what timers send: the runtime does
// that on a stack of its own, from which a file cannot be read. Package time may use
// neither os nor strconv.
const wrongBy = `package time

import (
	"sync/atomic"
	"syscall"
)

var lastWrong atomic.Int64

func sentNow() Time {
	sec, nsec, mono := runtimeNow()
	sec += lastWrong.Load() + unixToInternal - minWall
	return Time{hasMonotonic | uint64(sec)<<nsecShift | uint64(nsec), mono - startNano, Local}
}

func wrongBy() int64 {
	seconds := readWrong()
	lastWrong.Store(seconds)
	return seconds
}

func readWrong() (seconds int64) {
	name, _ := syscall.Getenv("` + ClockVariable + `")
	if name == "" {
		return 0
	}
	file, err := open(name)
	if err != nil {
		return 0
	}
	defer closefd(file)
	text := make([]byte, 20)
	n, err := read(file, text)
	if err != nil {
		return 0
	}
	sign := int64(1)
	for _, c := range text[:n] {
		switch {
		case c == '-':
			sign = -1
		case '0' <= c && c <= '9':
			seconds = 10*seconds + int64(c-'0')
		}
	}
	return sign * seconds
}
`
