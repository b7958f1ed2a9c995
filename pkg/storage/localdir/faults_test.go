package localdir

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
	"github.com/dbacked/dbacked/pkg/storage"
)

// tmpfs mounts a small file system of its own.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// says checks that err is errno and tells what to do.
func says(t *testing.T, err error, errno syscall.Errno, words ...string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Fatalf("error %v, want %v", err, errno)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), ".tmp-") {
		t.Errorf("%q names a hidden file", err)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFullDisk(t *testing.T) {
	dir := tmpfs(t, "size=4m")
	s := open(t, dir)
	if err := s.Put(t.Context(), "db/good", []byte("good")); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(t.Context(), "db/1/big")
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 1<<20)
	for i := 0; err == nil && i < 16; i++ {
		err = w.WritePart(t.Context(), i+1, int64(i)<<20, part)
	}
	says(t, err, syscall.ENOSPC, "db/1/big", "the disk of "+dir+" is full", "DBACKED_STORAGE")
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir); len(got) != 2 {
		t.Errorf("left on the full disk: %q", got)
	}
	if err := s.Put(t.Context(), "db/next", part); err != nil {
		t.Errorf("after the failure there is no room: %v", err)
	}
}

func TestNoInodes(t *testing.T) {
	s := open(t, tmpfs(t, "size=4m,nr_inodes=4"))
	var err error
	for _, name := range []string{"db/1", "db/2", "db/3", "db/4"} {
		if err == nil {
			err = s.Put(t.Context(), name, nil)
		}
	}
	says(t, err, syscall.ENOSPC, "inodes")
}

func TestReadOnlyDisk(t *testing.T) {
	dir := tmpfs(t, "size=4m")
	s := open(t, dir)
	if err := s.Put(t.Context(), "db/good", []byte("good")); err != nil {
		t.Fatal(err)
	}
	begun, err := s.Create(t.Context(), "db/begun")
	if err != nil {
		t.Fatal(err)
	}
	if err := begun.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), "db/new")
	says(t, err, syscall.EROFS, "db/new", "mounted read-only", "DBACKED_STORAGE")
	says(t, s.Remove(t.Context(), "db/good"), syscall.EROFS, "db/good")
	if list, err := s.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("a read-only store lists %v, %v", list, err)
	}
}

func TestGoneFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	_, err := Open(dir)
	says(t, err, syscall.ENOENT, dir, "mkdir", "DBACKED_STORAGE")
	if err := Make(dir); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), "db/x")
	says(t, err, syscall.ENOENT, "is not there")
	_, err = s.List(t.Context(), "db/")
	says(t, err, syscall.ENOENT, "is not there")
	_, err = s.Open(t.Context(), "db/x", 0)
	says(t, err, syscall.ENOENT, "is not there")
	if errors.Is(err, storage.ErrNotFound) {
		t.Error("a store that is gone only misses the object")
	}
}

// TestReplacedFolder moves the store away while an object is being written:
// the commit must not pass for one, and must not be seen at the old place.
func TestReplacedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if err := Make(dir); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	w, err := s.Create(t.Context(), "db/1/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err = w.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "another folder") {
		t.Errorf("commit into a folder that was moved: %v", err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir+".old"); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

func TestForbiddenFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Put(t.Context(), "db/x", nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, "db"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		dbtest.Need(t, "acting as another user", errors.New("only root can"))
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		_ = unix.Setfsuid(65534)
		_, createErr := s.Create(t.Context(), "db/y")
		_, openErr := s.Open(t.Context(), "db/x", 0)
		done <- createErr
		done <- openErr
	}()
	says(t, <-done, syscall.EACCES, "db/y", "may not do this", "chown")
	says(t, <-done, syscall.EACCES, "db/x", "may not do this", "chown")
}

func TestFileInTheWay(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Put(t.Context(), "db/x", nil); err != nil {
		t.Fatal(err)
	}
	says(t, s.Put(t.Context(), "db/x/y", nil), syscall.ENOTDIR, "is a file and not a folder")
	if err := s.Remove(t.Context(), "db"); err == nil {
		t.Error("a folder was removed as an object")
	}
}
