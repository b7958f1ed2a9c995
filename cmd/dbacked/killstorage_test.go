package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// gate holds every opening of a file below a mount until it is let through
// (fanotify's permission events): a way to be at each stage of a run without
// changing the run.
type gate struct {
	t      *testing.T
	file   *os.File
	ended  chan struct{}
	opened func(pid int, path string) // while whoever opens waits
}

func newGate(t *testing.T, mount string, opened func(pid int, path string)) *gate {
	t.Helper()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	dbtest.Need(t, "fanotify", err)
	err = unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT, unix.FAN_OPEN_PERM|unix.FAN_ONDIR, unix.AT_FDCWD, mount)
	dbtest.Need(t, "fanotify's permission events", err)
	g := &gate{t: t, file: os.NewFile(uintptr(fd), "fanotify"), ended: make(chan struct{}), opened: opened}
	go g.run()
	return g
}

// run answers events until the gate is opened for good.
func (g *gate) run() {
	defer close(g.ended)
	buf := make([]byte, 4096)
	for {
		n, err := g.file.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= int(unsafe.Sizeof(unix.FanotifyEventMetadata{})); {
			var e unix.FanotifyEventMetadata
			if err := binary.Read(bytes.NewReader(rest), binary.NativeEndian, &e); err != nil {
				g.t.Error(err)
				return
			}
			rest = rest[e.Event_len:]
			path, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", e.Fd))
			g.opened(int(e.Pid), path)
			var answer bytes.Buffer
			binary.Write(&answer, binary.NativeEndian, unix.FanotifyResponse{Fd: e.Fd, Response: unix.FAN_ALLOW})
			g.file.Write(answer.Bytes()) // whoever waited may be dead
			unix.Close(int(e.Fd))
		}
	}
}

// open lets all through from now on.
func (g *gate) open() {
	g.file.Close()
	<-g.ended
}

// random is what differs from run to run in the names of files.
var random = regexp.MustCompile(`[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}|[A-Z2-7]{26}`)

// TestKilledAtEveryFile ends a backup at each file that it opens in its storage,
// from the lock to the manifest: it never happened, or it is whole.
func TestKilledAtEveryFile(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.mount("storage", "size=16m")
	b.backup()
	b.backup() // the folder is as it is from now on
	var steps []string
	b.opening(func(_ *running, n int, path string) {
		steps = append(steps, random.ReplaceAllString(strings.TrimPrefix(path, b.path("storage")), "*"))
	}).wait().ok()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for n := range steps {
			if !worthwhile(steps, n, sig) {
				continue
			}
			t.Run(fmt.Sprintf("%s %d %s", unix.SignalName(sig), n, steps[n]), func(t *testing.T) { testEndedAt(t, b, n, sig) })
		}
	}
	if !slices.ContainsFunc(steps, func(s string) bool { return strings.Contains(s, ".manifest.tmp") }) {
		t.Errorf("the commit was not seen: %q", steps)
	}
}

// worthwhile says whether ending a run at its nth file is unlike ending it at
// another: at the lock and at each file that is made, and for SIGKILL just
// before and after.
func worthwhile(steps []string, n int, sig syscall.Signal) bool {
	made := func(i int) bool {
		return i >= 0 && i < len(steps) && (strings.HasSuffix(steps[i], "/lock") || strings.Contains(steps[i], "tmp"))
	}
	last := n == len(steps)-1
	if sig == syscall.SIGTERM {
		return made(n) || last
	}
	return made(n-1) || made(n) || made(n+1) || last
}

// opening starts a backup, and tells of each file that it opens in its storage.
func (b *bed) opening(opened func(r *running, n int, path string)) *running {
	b.t.Helper()
	started := make(chan *running, 1)
	var r *running
	n := 0
	g := newGate(b.t, b.path("storage"), func(pid int, path string) {
		if r == nil {
			r = <-started
		}
		if pid == r.cmd.Process.Pid {
			opened(r, n, path)
			n++
		}
	})
	run := b.start(nil, "backup", "shop")
	started <- run
	<-run.ended
	g.open()
	return run
}

func testEndedAt(t *testing.T, shared *bed, n int, sig syscall.Signal) {
	b := shared.with()
	b.t = t
	before, list := b.stored(), b.list()
	var tools []*watched
	reached := false
	res := b.opening(func(r *running, i int, _ string) {
		if i == n {
			reached = true
			tools = r.tools(t)
			r.cmd.Process.Signal(sig)
		}
	}).wait()
	for _, tool := range tools {
		tool.ends(t)
	}
	now := b.list()
	whole := len(now) == len(list)+1
	switch {
	case !reached:
		t.Fatalf("the file was not opened: %s", res)
	case whole:
		b.run("verify", "shop", now[0]).ok()
		now = now[1:]
	case sig == syscall.SIGTERM:
		res.ends(exitInterrupted)
		if after := b.stored(); !slices.Equal(before, after) {
			t.Errorf("stored before %q and after %q", before, after)
		}
	}
	if sig == syscall.SIGTERM && whole != (res.code == exitOK) {
		t.Errorf("a new backup is listed: %v: %s", whole, res)
	}
	if !slices.Equal(list, now) {
		t.Errorf("listed before %q and after %q", list, now)
	}
	for _, id := range b.list()[1:] {
		b.must(os.RemoveAll(filepath.Join(b.path("storage/shop"), id))) // so that the storage stays small
	}
	b.backup()
	b.wantComplete(b.list())
}
