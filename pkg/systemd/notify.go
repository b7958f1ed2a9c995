package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifyLimit bounds one message to a service manager that does not read.
const notifyLimit = 5 * time.Second

// Notifier tells the service manager how a service is (sd_notify). Without one,
// and when it is nil, it does nothing. What could not be told is lost: there is
// nobody to tell that. It may be used from several goroutines.
type Notifier struct {
	socket   string // empty: no service manager
	watchdog time.Duration

	mu     sync.Mutex
	status string // as told last
}

// NewNotifier returns a notifier for the socket that environ (see [os.Environ])
// names in NOTIFY_SOCKET: a path, or with a leading @ an abstract name.
func NewNotifier(environ []string) *Notifier {
	n := &Notifier{socket: lookup(environ, "NOTIFY_SOCKET")}
	if !strings.HasPrefix(n.socket, "/") && !strings.HasPrefix(n.socket, "@") {
		n.socket = "" // not of this machine
	}
	if n.Active() {
		n.watchdog = watchdogInterval(environ)
	}
	return n
}

// Active tells whether there is a service manager to tell anything.
func (n *Notifier) Active() bool { return n != nil && n.socket != "" }

// Ready says that the service has started.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Stopping says that the service has begun to stop.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

// Status sets the line that systemctl status shows. What it shows already is not
// sent again, so this may be called often.
func (n *Notifier) Status(text string) {
	if !n.Active() {
		return
	}
	text = oneLine(text)
	n.mu.Lock()
	defer n.mu.Unlock()
	if text == n.status {
		return
	}
	if n.send("STATUS=" + text) {
		n.status = text
	}
}

// Watchdog says that the service is alive.
func (n *Notifier) Watchdog() { n.send(daemon.SdNotifyWatchdog) }

// ExtendTimeout asks for at least d from now on before the start or the stop at
// hand is given up.
func (n *Notifier) ExtendTimeout(d time.Duration) {
	n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", max(d.Microseconds(), 0)))
}

// Errno says why the service fails, as a number of errno(3).
func (n *Notifier) Errno(number int) { n.send(fmt.Sprintf("ERRNO=%d", number)) }

// WatchdogInterval is how much time may pass between two calls of Watchdog
// before this process is killed and started again; 0 when nobody waits for
// them. Half of it is a good interval.
func (n *Notifier) WatchdogInterval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// send makes a connection for each message: it is rare, and so works even when
// the service manager made its socket anew.
func (n *Notifier) send(state string) bool {
	if !n.Active() {
		return false
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyLimit)); err != nil {
		return false
	}
	_, err = conn.Write([]byte(state))
	return err == nil
}

// watchdogInterval is the one that environ sets for this process, not for a
// parent of it.
func watchdogInterval(environ []string) time.Duration {
	if pid := lookup(environ, "WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(lookup(environ, "WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(1<<63-1)/int64(time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// lookup returns a variable of an environment, the last one of its name.
func lookup(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}
