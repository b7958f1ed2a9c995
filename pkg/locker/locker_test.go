package locker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// childLock names the file that a second process of this test locks.
const childLock = "LOCKER_TEST_CHILD_LOCK"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChild is not a test of its own: it is the other process that holds the
// lock, says so, and keeps it until it is killed or its input ends.
func TestChild(t *testing.T) {
	path := os.Getenv(childLock)
	if path == "" {
		return // only works in a process that another test starts
	}
	_, release, err := NewFile(path).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	release()
}

// child starts a process that holds the lock. It ends when its input does.
func child(t *testing.T, path string) (cmd *exec.Cmd, input io.Closer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childLock+"="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return cmd, stdin
}

func acquire(t *testing.T, path string) (context.Context, func()) {
	t.Helper()
	run, release, err := NewFile(path).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return run, release
}

func TestHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control", "lock")
	cmd, input := child(t, path)
	host, _ := os.Hostname()
	_, _, err := NewFile(path).Acquire(t.Context())
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d on %q, since ", cmd.Process.Pid, host)) {
		t.Errorf("error %v", err)
	}
	_ = input.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	_, release := acquire(t, path)
	release()
}

// TestHolderKilled kills the process that holds the lock: it is free at once.
func TestHolderKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd, _ := child(t, path)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	_, release := acquire(t, path)
	defer release()
	_, _, err := NewFile(path).Acquire(t.Context())
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("of the new holder: %v", err)
	}
}

// TestChildrenDoNotHoldIt keeps a child alive after the lock was given back.
func TestChildrenDoNotHoldIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	_, release := acquire(t, path)
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	release()
	release()
	_, again := acquire(t, path)
	again()
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestRace lets several ask at once, again and again: never do two hold it.
func TestRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var all sync.WaitGroup
	var holding sync.Mutex
	for range 8 {
		all.Go(func() {
			for range 50 {
				_, release, err := NewFile(path).Acquire(t.Context())
				if errors.Is(err, ErrHeld) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !holding.TryLock() {
					t.Error("two hold it")
				} else {
					runtime.Gosched()
					holding.Unlock()
				}
				release()
			}
		})
	}
	all.Wait()
}

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock := NewFile(path)
	release, err := lock.Hold()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Hold(); !errors.Is(err, ErrHeld) {
		t.Errorf("held twice: %v", err)
	}
	if _, _, err := lock.Acquire(t.Context()); !errors.Is(err, ErrHeld) {
		t.Errorf("acquired while held: %v", err)
	}
	release()
	release()
	again, err := lock.Hold()
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestRunEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cause := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	run, release, err := NewFile(path).Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	<-run.Done()
	if !errors.Is(context.Cause(run), cause) {
		t.Errorf("cause %v", context.Cause(run))
	}
	if _, _, err := NewFile(path).Acquire(ctx); !errors.Is(err, cause) {
		t.Errorf("after the end of its context: %v", err)
	}
	release()
	if text, err := os.ReadFile(path); err != nil || len(text) != 0 {
		t.Errorf("the free lock says %q, %v", text, err)
	}
}

// TestLost removes the lock file, and puts another in its place, while it is
// held: the run must end, as another could lock the new one.
func TestLost(t *testing.T) {
	for _, replace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			run, release := acquire(t, path)
			defer release()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			<-run.Done()
			if err := context.Cause(run); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), path) {
				t.Errorf("cause %v", err)
			}
		})
	}
}

func TestUnusablePlaces(t *testing.T) {
	dir := t.TempDir()
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), os.Symlink(victim, link)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := NewFile(link).Acquire(t.Context()); !errors.Is(err, syscall.ELOOP) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
	if text, _ := os.ReadFile(victim); string(text) != "precious" {
		t.Errorf("the link's target holds %q", text)
	}
	if _, _, err := NewFile(filepath.Join(victim, "lock")).Acquire(t.Context()); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

// TestFullDisk shows that a lock that exists can be taken on a full disk, so
// that the next run can clean up.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes=4"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "lock")
	_, release := acquire(t, path)
	release()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	_, release = acquire(t, path)
	if _, _, err := NewFile(path).Acquire(t.Context()); !errors.Is(err, ErrHeld) {
		t.Errorf("error %v", err)
	}
	release()
	if err := os.WriteFile(filepath.Join(dir, "last-inode"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := NewFile(filepath.Join(dir, "lock2")).Acquire(t.Context()); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space or inodes") {
		t.Errorf("a new lock without inodes: %v", err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, "size=64k"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if _, _, err := NewFile(filepath.Join(dir, "lock")).Acquire(t.Context()); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "for writing") {
		t.Errorf("error %v", err)
	}
}
