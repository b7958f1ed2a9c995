//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bootTimeout is how long the machine may take to start, or to stop.
const bootTimeout = time.Minute

// start mounts an overlay of the tree in the mount namespace that it is run in,
// and runs the machine until it is switched off. With the last process of the
// machine the kernel takes the mounts away. Where no systemd keeps the control
// groups, the machine gets its own: $3 is its name.
const start = `set -e
mount -t tmpfs -o mode=755,size=3g tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
keep=
if [ ! -d /run/systemd/system ]; then
	keep=--keep-unit
	for group in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[ -e $group/cgroup.procs ] || continue
		mkdir "$group/$3"
		echo $$ >"$group/$3/cgroup.procs"
	done
fi
reboot=133
while status=0
	setpriv --pdeathsig KILL systemd-nspawn --quiet --register=no $keep --private-network --notify-ready=yes \
		--console=pipe --machine=e2e -D "$2/root" --boot || status=$?
	[ $status = $reboot ]
do :; done`

// machine is a booted Debian.
type machine struct {
	journal *journal

	nspawn *exec.Cmd
	ended  chan struct{} // closed when nspawn has ended
	group  string        // name of its control group
	notes  *net.UnixConn // what nspawn tells of its state

	mu      sync.Mutex
	leader  int // PID of the machine's PID 1
	console bytes.Buffer
}

// boot starts a machine, which is stopped when the test ends.
func boot(t *testing.T) *machine {
	t.Helper()
	root, mountpoint := tree(t)
	m := &machine{ended: make(chan struct{}), group: fmt.Sprintf("dbacked-e2e-%d", os.Getpid())}
	address := "@" + m.group
	var err error
	m.notes, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { m.notes.Close() })

	m.nspawn = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", start, "sh", root, mountpoint, m.group)
	m.nspawn.Env = append(os.Environ(), "NOTIFY_SOCKET="+address)
	m.nspawn.Stdout, m.nspawn.Stderr = &m.console, &m.console
	// Not in reach of Ctrl-C, which ends this process: the machine dies with it.
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel tells the death of the thread
		started <- m.nspawn.Start()
		m.nspawn.Wait()
		close(m.ended)
	}()
	must(t, <-started)
	t.Cleanup(func() { m.poweroff(t) })
	m.awaitBoot(t)
	return m
}

// awaitBoot waits until everything that starts at boot has been started.
func (m *machine) awaitBoot(t *testing.T) {
	t.Helper()
	must(t, m.notes.SetReadDeadline(time.Now().Add(bootTimeout)))
	buffer := make([]byte, 4096)
	for ready := false; !ready; {
		n, err := m.notes.Read(buffer)
		if err != nil {
			t.Fatalf("the machine does not start: %v\n%s", err, m.console.String())
		}
		for line := range strings.Lines(string(buffer[:n])) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch name {
			case "X_NSPAWN_LEADER_PID":
				leader, err := strconv.Atoi(value)
				must(t, err)
				m.setLeader(leader)
			case "READY":
				ready = true
			}
		}
	}
	m.run(t, "systemctl", "is-system-running", "--wait")
	m.journal = follow(t, m)
}

// reboot starts the machine again.
func (m *machine) reboot(t *testing.T) {
	t.Helper()
	m.journal.stop()
	m.run(t, "systemctl", "--no-block", "reboot")
	m.awaitBoot(t)
}

func (m *machine) poweroff(t *testing.T) {
	defer m.removeGroups()
	if m.journal != nil {
		m.journal.stop()
		m.command(context.Background(), "systemctl", "poweroff", "--no-block").Run()
		select {
		case <-m.ended:
			return
		case <-time.After(bootTimeout):
			t.Errorf("the machine does not stop by itself\n%s", &m.console)
		}
	}
	syscall.Kill(-m.nspawn.Process.Pid, syscall.SIGKILL)
	<-m.ended
}

// removeGroups removes what control groups nspawn leaves, which are empty.
func (m *machine) removeGroups() {
	for _, hierarchy := range []string{"systemd", "unified", "."} {
		top := filepath.Join("/sys/fs/cgroup", hierarchy, m.group)
		exec.Command("find", top, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
	}
}

func (m *machine) setLeader(pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leader = pid
}

func (m *machine) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leader
}

// path is where this process finds a file of the machine.
func (m *machine) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(m.pid()), "root", name)
}

// command is a program to run in the machine, by root, as if from a login.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{
		"--target", strconv.Itoa(m.pid()), "--all", "--wd",
		// What is not waited for any more must end: it would keep the machine from stopping.
		"setpriv", "--pdeathsig", "KILL", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0",
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
