package main

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// nobody is a user that is not root.
const nobody = 65534

// owned is a data folder of another user, as the package makes one.
func owned(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		dbtest.Need(t, "root", fs.ErrPermission)
	}
	data := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(data, 0o700))
	must(t, os.Chown(data, nobody, nobody))
	// What leads there belongs to root: others may pass, as through /var/lib.
	for dir := filepath.Dir(data); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	return data
}

// TestRootActsAsTheService: while the service runs, and while it does not, root's
// commands leave nothing that its user could not use; and what root alone may read,
// such as a key, is read.
func TestRootActsAsTheService(t *testing.T) {
	t.Parallel()
	data := owned(t)
	key := filepath.Join(t.TempDir(), "public.pem")
	must(t, os.WriteFile(key, []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 0o600))
	create(t, data, "before", "--public-key", key)
	url, pid, _ := serve(t, data)
	if status := readStatus(t, pid); !strings.Contains(status, "\nUid:\t65534\t65534\t65534\t65534\n") || !strings.Contains(status, "\nGroups:\t65534 \n") {
		t.Errorf("serve, begun by root, runs as\n%s", status)
	}
	p := create(t, data, "shop")
	ok(t, "project", "set", "shop", "--public-key", key, "--data", data)
	ok(t, "copy", "--data", data)
	upload(t, url, p, []byte("content"))
	answer, err := http.Get(url + "/healthz")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", answer.Status)
	}
	beside := 0
	must(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody {
			t.Errorf("%s belongs to %d:%d", path, owner.Uid, owner.Gid)
		}
		if strings.HasPrefix(d.Name(), databaseName+"-") {
			beside++
		}
		return nil
	}))
	if beside != 2 {
		t.Errorf("SQLite keeps %d files beside the database", beside)
	}
	if log := string(ok(t, "audit", "--data", data)); strings.Count(log, "alice") != 3 {
		t.Errorf("the audit log does not say who called sudo:\n%s", log)
	}
}

func readStatus(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	must(t, err)
	return string(text)
}

// TestOwnFolderStaysRoots: without a service's user nothing changes.
func TestOwnFolderStaysRoots(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	create(t, data, "shop")
	out, err := exec.CommandContext(t.Context(), "find", data, "!", "-uid", strconv.Itoa(os.Geteuid())).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: not one's own:\n%s", err, out)
	}
}
