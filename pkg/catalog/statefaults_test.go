package catalog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestForeignState uses a state folder of another user.
func TestForeignState(t *testing.T) {
	if os.Geteuid() != 0 {
		dbtest.Need(t, "acting as another user", errors.New("only root can"))
	}
	dir := t.TempDir()
	must[*Signer](t)(LoadOrCreateSigner(dir))
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		_ = unix.Setfsuid(65534)
		_, err := LoadOrCreateSigner(dir)
		errs <- err
		_, err = LoadOrCreateAgentID(filepath.Join(dir, "below"))
		errs <- err
		errs <- WriteLast(dir, id1)
	}()
	for range 3 {
		if err := <-errs; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "DBACKED_STATE_DIRECTORY") {
			t.Errorf("error %v", err)
		}
	}
}

// TestFullState fills the disk of the state folder: no half-written key is
// left, and what was remembered before still is.
func TestFullState(t *testing.T) {
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	ok(t, WriteLast(dir, id1))
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := WriteLast(dir, id2); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if _, err := LoadOrCreateSigner(dir); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if got := must[string](t)(ReadLast(dir)); got != id1 {
		t.Errorf("remembered: %q", got)
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	ok(t, os.Remove(filepath.Join(dir, "big")))
	must[*Signer](t)(LoadOrCreateSigner(dir))
}
