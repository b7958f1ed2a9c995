package dbtest

import (
	"bytes"
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
	text, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), now) != 1 {
		t.Fatal("the standard library's time.Now is not what it was: change this function with it")
	}
	overlay := map[string]string{}
	for name, source := range map[string]string{
		"time.go":    strings.Replace(string(text), now, now+"\tsec += wrongBy()\n", 1),
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
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay"), "-o", program, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = ended()
	})
	return func() {
		t.Helper()
		if err := ended(); err != nil {
			t.Fatalf("go build %s: %v\n%s", folder, err, &said)
		}
	}
}

// wrongBy reads the file anew each time. Package time may use neither os nor
// strconv.
const wrongBy = `package time

import "syscall"

func wrongBy() (seconds int64) {
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
