package systemd

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNotifier(t *testing.T) {
	abstract := fmt.Sprintf("@dbacked-test-%d", os.Getpid())
	for name, r := range map[string]*receiver{"path": newReceiver(t), "abstract": receiverAt(t, abstract)} {
		t.Run(name, func(t *testing.T) {
			n := NewNotifier([]string{"NOTIFY_SOCKET=" + r.path})
			if !n.Active() {
				t.Fatal("the notifier does not see its socket")
			}
			for _, c := range []struct {
				call func()
				want string
			}{
				{n.Ready, "READY=1"},
				{func() { n.Status("idle, next backup Mon 02:00") }, "STATUS=idle, next backup Mon 02:00"},
				{func() { n.Status("failed:\n  no space\nREADY=1\n") }, "STATUS=failed:; no space; READY=1"},
				{n.Watchdog, "WATCHDOG=1"},
				{func() { n.ExtendTimeout(90 * time.Second) }, "EXTEND_TIMEOUT_USEC=90000000"},
				{func() { n.ExtendTimeout(-time.Second) }, "EXTEND_TIMEOUT_USEC=0"},
				{func() { n.Errno(28) }, "ERRNO=28"},
				{n.Stopping, "STOPPING=1"},
			} {
				c.call()
				if diff := cmp.Diff(c.want, r.next()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestStatusIsSentOnce(t *testing.T) {
	r := newReceiver(t)
	n := NewNotifier([]string{"NOTIFY_SOCKET=" + r.path})
	for _, text := range []string{"idle", "idle", "idle", "dumping", "idle"} {
		n.Status(text)
	}
	for _, want := range []string{"STATUS=idle", "STATUS=dumping", "STATUS=idle"} {
		if got := r.next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r.empty()
}

// What did not arrive must be sent again, although it is the same.
func TestStatusIsSentAgainWhenItWasLost(t *testing.T) {
	r := newReceiver(t)
	n := NewNotifier([]string{"NOTIFY_SOCKET=" + r.path})
	r.conn.Close()
	os.Remove(r.path)
	n.Status("idle")
	r = receiverAt(t, r.path)
	n.Status("idle")
	if got := r.next(); got != "STATUS=idle" {
		t.Errorf("got %q", got)
	}
}

func TestNotifierFromManyGoroutines(t *testing.T) {
	r := newReceiver(t)
	n := NewNotifier([]string{"NOTIFY_SOCKET=" + r.path})
	const each = 20
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for i := range each {
				n.Watchdog()
				n.Status(fmt.Sprint(i))
			}
		})
	}
	watchdogs := 0
	for watchdogs < 4*each {
		if r.next() == "WATCHDOG=1" {
			watchdogs++
		}
	}
	// the rest are status lines, which the socket may be too full to take
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for buf := make([]byte, 1<<10); ; {
			if _, err := r.conn.Read(buf); err != nil {
				return
			}
		}
	}()
	senders.Wait()
	r.conn.Close()
	<-drained
}

func TestNotifierWithoutAServiceManager(t *testing.T) {
	for name, n := range map[string]*Notifier{
		"nil":      nil,
		"none":     NewNotifier(nil),
		"empty":    NewNotifier([]string{"NOTIFY_SOCKET="}),
		"relative": NewNotifier([]string{"NOTIFY_SOCKET=run/notify"}),
		"vsock":    NewNotifier([]string{"NOTIFY_SOCKET=vsock:2:1234", "WATCHDOG_USEC=1000000"}),
		"gone":     NewNotifier([]string{"NOTIFY_SOCKET=" + t.TempDir() + "/gone"}),
	} {
		t.Run(name, func(t *testing.T) {
			if n.Active() != (name == "gone") {
				t.Errorf("active: %v", n.Active())
			}
			n.Ready()
			n.Status("idle")
			n.Watchdog()
			n.ExtendTimeout(time.Second)
			n.Errno(1)
			n.Stopping()
			if got := n.WatchdogInterval(); got != 0 {
				t.Errorf("a watchdog waits every %v", got)
			}
		})
	}
}

func TestWatchdogInterval(t *testing.T) {
	own := fmt.Sprintf("WATCHDOG_PID=%d", os.Getpid())
	for _, c := range []struct {
		environ []string
		want    time.Duration
	}{
		{[]string{"WATCHDOG_USEC=90000000", own}, 90 * time.Second},
		{[]string{"WATCHDOG_USEC=90000000"}, 90 * time.Second},
		{[]string{"WATCHDOG_USEC=1", "WATCHDOG_USEC=90000000"}, 90 * time.Second},
		{[]string{"WATCHDOG_USEC=90000000", "WATCHDOG_PID=1"}, 0}, // meant for a parent
		{[]string{"WATCHDOG_USEC=90000000", "WATCHDOG_PID=x"}, 0},
		{[]string{own}, 0},
		{[]string{"WATCHDOG_USEC=0"}, 0},
		{[]string{"WATCHDOG_USEC=-1"}, 0},
		{[]string{"WATCHDOG_USEC=soon"}, 0},
		{[]string{"WATCHDOG_USEC=9223372036854775807"}, 0}, // "never"
	} {
		n := NewNotifier(append(c.environ, "NOTIFY_SOCKET=/run/systemd/notify"))
		if got := n.WatchdogInterval(); got != c.want {
			t.Errorf("%q: %v, want %v", c.environ, got, c.want)
		}
	}
}
