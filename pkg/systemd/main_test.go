package systemd

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// listenChild is set in a process that TestListeners starts.
const listenChild = "DBACKED_TEST_LISTEN_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(listenChild) != "" {
		serveListeners()
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds the wait for what must come.
const patience = 20 * time.Second

// receiver is a datagram socket such as systemd's.
type receiver struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	return receiverAt(t, filepath.Join(t.TempDir(), "socket"))
}

func receiverAt(t *testing.T, path string) *receiver {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &receiver{t, path, conn}
}

func (r *receiver) next() string {
	r.t.Helper()
	buf := make([]byte, 1<<20)
	r.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := r.conn.Read(buf)
	if err != nil {
		r.t.Fatalf("nothing came: %v", err)
	}
	return string(buf[:n])
}

// empty fails unless all that was sent has been read.
func (r *receiver) empty() {
	r.t.Helper()
	r.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	buf := make([]byte, 1<<10)
	if n, err := r.conn.Read(buf); err == nil {
		r.t.Fatalf("%q was sent too", buf[:n])
	}
}
