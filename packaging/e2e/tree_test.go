//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const (
	release  = "bookworm"
	packages = "systemd,systemd-sysv,dbus,sudo,curl,postgresql,mariadb-server,prometheus,needrestart"
)

// prepare makes a tree fit for tests: no timer of Debian's takes apt's lock, no
// server is asked for packages, prometheus is there for its promtool only, and
// an administrator may use sudo.
const prepare = `set -e
ln -sf /dev/null /etc/systemd/system/apt-daily.timer
ln -sf /dev/null /etc/systemd/system/apt-daily-upgrade.timer
ln -sf /dev/null /etc/systemd/system/prometheus.service
ln -sf /dev/null /etc/systemd/system/prometheus-node-exporter.service
rm -rf /etc/apt/sources.list /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
echo e2e >/etc/hostname
echo '127.0.0.1 localhost e2e' >/etc/hosts
useradd --create-home --groups sudo --shell /bin/bash admin
echo '%sudo ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/nopassword
: >/etc/machine-id
`

// tree returns the folder of a Debian that has what the tests need, and of an
// empty folder to mount things on.
func tree(t *testing.T) (root, mountpoint string) {
	t.Helper()
	if os.Getuid() != 0 {
		dbtest.Need(t, "root, for a container", os.ErrPermission)
	}
	for _, program := range []string{"debootstrap", "systemd-nspawn", "nsenter", "unshare"} {
		_, err := exec.LookPath(program)
		dbtest.Need(t, program, err)
	}
	key := sha256.Sum256([]byte(release + packages + prepare))
	cache := cacheDir(t)
	root = filepath.Join(cache, fmt.Sprintf("e2e-%s-%x", release, key[:4]))
	mountpoint = filepath.Join(cache, "e2e")
	must(t, os.MkdirAll(mountpoint, 0o755))

	lock, err := os.OpenFile(root+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	defer lock.Close()
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if _, err := os.Stat(root); err == nil {
		return root, mountpoint
	}
	making := root + ".making"
	must(t, os.RemoveAll(making))
	t.Logf("making %s, once", root)
	// What it mounts in there is gone when it ends, however it does.
	host(t, "unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase", "--include="+packages, release, making)
	host(t, "chroot", making, "sh", "-c", prepare)
	must(t, os.Rename(making, root))
	return root, mountpoint
}

func cacheDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("DBACKED_TEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = "/var/cache"
	}
	return filepath.Join(dir, "dbacked-test")
}

// host runs a program on this machine.
func host(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
