//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// bootTimeout is how long the machine may take to start, or to stop.
const bootTimeout = time.Minute

// start mounts an overlay of the tree in the mount namespace that it is run in,
// and runs the machine until it is switched off. With the last process of the
// machine the kernel takes the mounts away. Where no systemd keeps the control
// groups, the machine gets its own: $3 is its name ($4 is the machine's, and
// the rest is for its PID 1). When the shell is killed nspawn is told to switch the
// machine off. (Killed itself, it would leave it running.)
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
reboot=133 root=$2/root name=$4
shift 4
while status=0
	setpriv --pdeathsig TERM systemd-nspawn --quiet --register=no $keep --private-network --notify-ready=yes \
		--console=pipe --machine="$name" -D "$root" --boot "$@" || status=$?
	[ $status = $reboot ]
do :; done`

// machine is a booted Debian.
type machine struct {
	journal *journal

	name    string
	without []string        // units that are not started
	temp    string          // a folder on this side
	packing context.Context // in which packages are built
	shell   atomic.Int64    // PID of the shell that starts it; 0 before that
	ended   chan struct{}   // closed when nspawn has ended
	group   string          // name of its control group
	notes   *net.UnixConn   // what nspawn tells of its state

	mu     sync.Mutex
	leader int // PID of the machine's PID 1
}

// newMachine returns a machine that does not run yet, which is gone when the test
// ends, or this process by Ctrl-C. It never starts the units that it is to be without.
func newMachine(t *testing.T, name string, without ...string) *machine {
	t.Helper()
	m := &machine{name: name, without: without, ended: make(chan struct{}), group: fmt.Sprintf("dbacked-%s-%d", name, os.Getpid())}
	var err error
	m.temp, err = os.MkdirTemp("", "dbacked-e2e")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(m.temp) })
	var stopPacking context.CancelFunc
	m.packing, stopPacking = context.WithCancel(context.Background())
	t.Cleanup(stopPacking)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	t.Cleanup(func() { signal.Stop(interrupts) })
	go func() {
		<-interrupts
		stopPacking()
		m.kill()
		os.RemoveAll(m.temp)
		os.Exit(130)
	}()
	return m
}

// boot starts the machine.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	root, mountpoint := tree(t)
	address := "@" + m.group
	var err error
	m.notes, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { m.notes.Close() })

	args := []string{"--mount", "--propagation", "private", "sh", "-c", start, "sh", root, mountpoint, m.group, m.name}
	for _, unit := range m.without {
		args = append(args, "systemd.mask="+unit)
	}
	nspawn := exec.Command("unshare", args...)
	nspawn.Env = append(os.Environ(), "NOTIFY_SOCKET="+address)
	console, err := os.Create(m.console())
	must(t, err)
	defer console.Close()
	nspawn.Stdout, nspawn.Stderr = console, console
	// Not in reach of Ctrl-C; but if this process is killed the machine dies with it.
	nspawn.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel tells the death of the thread
		started <- nspawn.Start()
		nspawn.Wait()
		close(m.ended)
	}()
	must(t, <-started)
	m.shell.Store(int64(nspawn.Process.Pid))
	t.Cleanup(func() { m.poweroff(t) })
	m.awaitBoot(t)
}

// awaitBoot waits until everything that starts at boot has been started.
func (m *machine) awaitBoot(t *testing.T) {
	t.Helper()
	must(t, m.notes.SetReadDeadline(time.Now().Add(bootTimeout)))
	buffer := make([]byte, 4096)
	for ready := false; !ready; {
		n, err := m.notes.Read(buffer)
		if err != nil {
			text, _ := os.ReadFile(m.console())
			t.Fatalf("the machine does not start: %v\n%s", err, text)
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
	defer m.kill()
	if m.journal != nil {
		m.journal.stop()
		m.command(context.Background(), "systemctl", "poweroff", "--no-block").Run()
		select {
		case <-m.ended:
			return
		case <-time.After(bootTimeout):
			text, _ := os.ReadFile(m.console())
			t.Errorf("the machine does not stop by itself\n%s", text)
		}
	}
}

// kill ends a machine that still runs, and removes the control groups that nspawn
// leaves, which are empty.
func (m *machine) kill() {
	pid := int(m.shell.Load())
	if pid == 0 {
		return
	}
	if leader := m.pid(); leader != 0 {
		pid = leader
	}
	select {
	case <-m.ended:
	default:
		syscall.Kill(pid, syscall.SIGKILL)
		<-m.ended
	}
	for _, hierarchy := range []string{"systemd", "unified", "."} {
		top := filepath.Join("/sys/fs/cgroup", hierarchy, m.group)
		for range 200 { // until the last of its processes has ended
			exec.Command("find", top, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
			if _, err := os.Stat(top); err != nil {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

// console is the file of what the machine prints.
func (m *machine) console() string { return filepath.Join(m.temp, "console") }

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
