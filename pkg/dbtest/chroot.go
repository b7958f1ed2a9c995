package dbtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Packages of the trees that Chroot makes, by Debian's name of the release.
var packages = map[string]string{
	"trixie": "postgresql-17,mariadb-server",
	"sid":    "mysql-server-core,mysql-client-core,postgresql-18",
}

// Chroot returns a tree with another Debian release and its database servers:
// "trixie" has PostgreSQL 17 and MariaDB 11, "sid" PostgreSQL 18 and MySQL 9. It
// is made once, by debootstrap, in the folder that DBACKED_TEST_CACHE names, or
// in the user's cache folder. It needs root.
func Chroot(t testing.TB, release string) string {
	t.Helper()
	if os.Getuid() != 0 {
		Need(t, "root, for a chroot", os.ErrPermission)
	}
	_, err := exec.LookPath("debootstrap")
	Need(t, "the package debootstrap", err)
	cache := cacheDir(t)
	unlock := lock(t, filepath.Join(cache, release+".lock"))
	defer unlock()
	root := filepath.Join(cache, release)
	if _, err := os.Stat(root); err == nil {
		return root
	}
	making := root + ".making"
	if err := os.RemoveAll(making); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("debootstrap", "--variant=minbase", "--include="+packages[release], release, making))
	if err := os.Rename(making, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// cacheDir holds what is made once: DBACKED_TEST_CACHE, or a folder in the
// user's cache folder.
func cacheDir(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("DBACKED_TEST_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			dir = "/var/cache"
		}
		cache = filepath.Join(dir, "dbacked-test")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	return cache
}

// lock holds a file's lock: tests of several packages run at once.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// enter runs a program inside a tree: in a mount namespace of its own, where
// the tree also has this machine's /tmp, /dev and /proc, so that sockets,
// folders and inherited descriptors are where they are outside.
const enter = `root=$1; user=$2; shift 2
mount --rbind /tmp "$root/tmp" && mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" &&
exec chroot --userspec="$user" "$root" "$@"`

// inRoot is a program of a tree; user is its "uid:gid".
func inRoot(root, user, program string, args ...string) *exec.Cmd {
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", enter, "sh", root, user, program}, args...)...)
}

// Wrappers writes small programs that run the server's own of those names, and
// returns their folder: for DBACKED_TOOLS_PATH.
func (s *Server) Wrappers(t testing.TB, names ...string) string {
	t.Helper()
	dir := tempDir(t)
	for _, name := range names {
		cmd := s.command(name)
		words := make([]string, len(cmd.Args))
		for i, a := range cmd.Args {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		script := "#!/bin/sh\nexec " + strings.Join(words, " ") + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
