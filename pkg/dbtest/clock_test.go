package dbtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestWithClock: a program's clock is wrong, and its timers do what they did.
func TestWithClock(t *testing.T) {
	t.Parallel()
	program, clock := filepath.Join(t.TempDir(), "ticking"), filepath.Join(t.TempDir(), "clock")
	WithClock(t, "./testdata/ticking", program)
	ahead := 2 * 366 * 24 * time.Hour
	if err := os.WriteFile(clock, []byte(fmt.Sprint(int(ahead.Seconds()))), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = []string{ClockVariable + "=" + clock}
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintln(50*200, time.Now().Add(ahead).UTC().Year()); err != nil || string(out) != want {
		t.Errorf("%v: %.2000s, not %s", err, out, want)
	}
}
