package dumper

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestToolsGetLargerBuffers sees how much a program of stdio writes at once: a
// socket of this kind keeps the bounds of what is written to it.
func TestToolsGetLargerBuffers(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(stdioLibrary); err != nil {
		dbtest.Need(t, "coreutils", err)
	}
	for _, c := range []struct {
		environ []string
		first   int
	}{
		{buffered([]string{"PATH=/usr/bin:/bin"}), stdioBuffer},
		{buffered([]string{"LD_PRELOAD="}), 4096}, // what the environment says of it stands
	} {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
		defer ours.Close()
		cmd := exec.Command("/usr/bin/od", "-v", "/proc/self/exe")
		cmd.Env, cmd.Stdout = c.environ, theirs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		got, err := ours.Read(make([]byte, 4*stdioBuffer))
		if err != nil || got != c.first {
			t.Errorf("with %q it wrote %d bytes at once, not %d: %v", c.environ, got, c.first, err)
		}
		ours.Close()
		_ = cmd.Wait() // it could not write the rest
	}
}

func TestBufferedLeavesTheEnvironment(t *testing.T) {
	given := []string{"A=1"}
	got := buffered(given)
	if !slices.Equal(given, []string{"A=1"}) || !slices.Contains(got, "A=1") {
		t.Errorf("%q became %q", given, got)
	}
	if _, err := os.Stat(stdioLibrary); err == nil && !slices.Contains(got, "_STDBUF_O="+strconv.Itoa(stdioBuffer)) {
		t.Errorf("%q", got)
	}
}
