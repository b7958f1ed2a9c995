package systemd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// serveListeners is the process under test: it says what it was given, and what
// a child of its own is given, and then serves one connection of each listener.
func serveListeners() {
	listeners, err := Listeners()
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	var names []string
	for name, named := range listeners {
		names = append(names, fmt.Sprintf("%s*%d", name, len(named)))
	}
	slices.Sort(names)
	fmt.Println("got:", strings.Join(names, " "))
	inherited, _ := exec.Command("sh", "-c", `echo "LISTEN_FDS=$LISTEN_FDS" $(readlink /proc/$$/fd/*)`).Output()
	fmt.Print("child: ", string(inherited))
	for _, named := range listeners {
		for _, l := range named {
			conn, err := l.Accept()
			if err != nil {
				fmt.Println("error:", err)
				return
			}
			fmt.Fprintf(conn, "%s %s\n", l.Addr().Network(), l.Addr())
			conn.Close()
			l.Close()
		}
	}
}

// start runs the test's own program as systemd runs a service: the sockets from
// descriptor 3 on, and LISTEN_PID the process that was started.
func start(t *testing.T, names string, sockets ...*os.File) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := exec.CommandContext(ctx, "sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), listenChild+"=1", "GORACE=atexit_sleep_ms=0", fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = sockets
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process that was given sockets: %v", err)
		}
		cancel()
	})
	return bufio.NewScanner(out)
}

func line(t *testing.T, s *bufio.Scanner) string {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("the process said no more: %v", s.Err())
	}
	return s.Text()
}

// passed returns a listener's descriptor.
func passed(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestListeners(t *testing.T) {
	unix := listen(t, "unix", filepath.Join(t.TempDir(), "status.sock"))
	tcp := listen(t, "tcp", "127.0.0.1:0")
	sockets := []*os.File{passed(t, unix), passed(t, tcp)}
	said := start(t, "status:status", sockets...)
	if got := line(t, said); got != "got: status*2" {
		t.Fatal(got)
	}
	got := line(t, said)
	if !strings.HasPrefix(got, "child: LISTEN_FDS= ") {
		t.Errorf("a program that the service starts is told of sockets: %s", got)
	}
	for _, socket := range sockets {
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", socket.Fd()))
		if err != nil || strings.Contains(got, name) {
			t.Errorf("a program that the service starts inherits %s, %v: %s", name, err, got)
		}
	}
	for _, l := range []net.Listener{unix, tcp} {
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		conn.Close()
		if want := l.Addr().Network() + " " + l.Addr().String() + "\n"; err != nil || string(answer) != want {
			t.Errorf("answered %q, %v; want %q", answer, err, want)
		}
	}
}

func TestListenersWithoutNames(t *testing.T) {
	l := listen(t, "unix", filepath.Join(t.TempDir(), "status.sock"))
	said := start(t, "", passed(t, l))
	if got := line(t, said); got != "got: LISTEN_FD_3*1" {
		t.Error(got)
	}
	line(t, said)
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestListenersNamesWhatIsNone(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l := listen(t, "unix", filepath.Join(t.TempDir(), "status.sock"))
	got := line(t, start(t, "status:other", passed(t, l), file))
	if !strings.HasPrefix(got, `error: the socket "other" that systemd passed`) || strings.Contains(got, `"status"`) {
		t.Error(got)
	}
}

func TestListenersOutsideSystemd(t *testing.T) {
	for _, pid := range []string{"", "1"} { // none, and those of another process
		t.Setenv("LISTEN_PID", pid)
		t.Setenv("LISTEN_FDS", "1")
		if got, err := Listeners(); err != nil || len(got) != 0 {
			t.Errorf("LISTEN_PID=%s: %v, %v", pid, got, err)
		}
	}
}
