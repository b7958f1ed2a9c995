package localdir

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// childStore names the folder in which a second process of this test writes.
const childStore = "LOCALDIR_TEST_CHILD_STORE"

// TestChild is not a test of its own: it is the process that TestKilled kills.
func TestChild(t *testing.T) {
	dir := os.Getenv(childStore)
	if dir == "" {
		return // only works in a process that TestKilled starts
	}
	s := open(t, dir)
	w, err := s.Create(t.Context(), "db/1/0000")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePart(t.Context(), 1, 0, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("written\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
}

// TestKilled kills a real process that is writing an object.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childStore+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
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
	_ = cmd.Wait()

	s := open(t, dir)
	if list, err := s.List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("listed after the kill: %v, %v", list, err)
	}
	removed, err := s.RemoveUnfinished(t.Context(), "db/")
	if diff := cmp.Diff([]string{"db/1/0000"}, removed); diff != "" || err != nil {
		t.Errorf("cleaned: %v %s", err, diff)
	}
	if got := entries(t, dir); !cmp.Equal(got, []string{"db"}) {
		t.Errorf("left: %q", got)
	}
}

// TestEmptyFolders removes what a run leaves that is killed between the making
// of its folder and of its first file.
func TestEmptyFolders(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Put(t.Context(), "db/1/0000", []byte("good")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"db/2", "db/3/inner", "other/1", "db/.hidden/x"} {
		if err := s.root.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := s.RemoveUnfinished(t.Context(), "db/"); err != nil || len(names) != 0 {
		t.Fatalf("%q, %v", names, err)
	}
	want := []string{"db", "db/.hidden", "db/.hidden/x", "db/1", "db/1/0000", "other", "other/1"}
	if diff := cmp.Diff(want, entries(t, s.path)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.RemoveUnfinished(t.Context(), "nobody/"); err != nil {
		t.Errorf("of an instance without a folder: %v", err)
	}
}
