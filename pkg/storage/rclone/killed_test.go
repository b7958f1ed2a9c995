package rclone

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// childConfig names the configuration by which a second process of this test
// writes.
const childConfig = "RCLONE_TEST_CHILD_CONFIG"

// TestChild is not a test of its own: it is the process that TestKilled kills.
func TestChild(t *testing.T) {
	config := os.Getenv(childConfig)
	if config == "" {
		return // only works in a process that TestKilled starts
	}
	s := open(t, Options{Remote: "store:", Config: config, Environ: os.Environ(), Backoff: quick})
	w, err := s.Create(t.Context(), "db/1/0000")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := w.WritePart(t.Context(), i+1, int64(i)<<20, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = os.Stdout.WriteString("written\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
}

// TestKilled kills a real process that is writing an object: its rclone ends too,
// and what it left is hidden until it is removed.
func TestKilled(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childConfig+"="+b.config)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "written\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	awaitNoneOf(t, b.config)

	s := open(t, b.options("store:"))
	if list, err := s.List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("listed after the kill: %v, %v", list, err)
	}
	names, err := s.RemoveAbandoned(t.Context(), "db/", 0)
	if err != nil || !slices.Equal(names, []string{"db/1/0000"}) {
		t.Errorf("cleaned: %q, %v", names, err)
	}
	if left := b.files(t); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// awaitNoneOf waits until no process has the configuration in its environment.
func awaitNoneOf(t *testing.T, config string) {
	t.Helper()
	for {
		found := false
		entries, err := os.ReadDir("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			environ, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
			found = found || strings.Contains(string(environ), "RCLONE_CONFIG="+config)
		}
		if !found || t.Context().Err() != nil {
			return
		}
	}
}
