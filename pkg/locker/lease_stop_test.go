package locker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaseURL tells another process of this test where the lease is.
const leaseURL = "LOCKER_TEST_LEASE_URL"

// stopTerm is the term in the test with real processes and real time.
const stopTerm = 2 * time.Second

// ServeHTTP gives a memory to other processes.
func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	var v Version
	switch tag := r.Header.Get("If-Match"); {
	case err != nil:
	case r.Method == http.MethodGet:
		data, v, err = m.get()
	case tag == "":
		v, err = m.putNew(data)
	default:
		v, err = m.replace(data, tag)
	}
	w.Header().Set("ETag", v.Tag)
	w.Header().Set("Last-Modified", v.Modified.UTC().Format(http.TimeFormat))
	w.Header().Set("Date", v.Now.UTC().Format(http.TimeFormat))
	switch {
	case errors.Is(err, errNone):
		w.WriteHeader(http.StatusNotFound)
	case err != nil:
		w.WriteHeader(http.StatusPreconditionFailed)
	default:
		_, _ = w.Write(data)
	}
}

// remote is a memory of another process.
type remote struct{ url string }

func (c remote) do(ctx context.Context, method, tag string, data []byte) ([]byte, Version, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(string(data)))
	if err != nil {
		return nil, Version{}, err
	}
	r.Header.Set("If-Match", tag)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, Version{}, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotFound:
		return nil, Version{}, errNone
	case http.StatusPreconditionFailed:
		return nil, Version{}, errChanged
	}
	modified, err := http.ParseTime(answer.Header.Get("Last-Modified"))
	if err != nil {
		return nil, Version{}, err
	}
	now, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return nil, Version{}, err
	}
	data, err = io.ReadAll(answer.Body)
	return data, Version{answer.Header.Get("ETag"), modified, now}, err
}

func (c remote) Get(ctx context.Context, _ string) ([]byte, Version, error) {
	return c.do(ctx, http.MethodGet, "", nil)
}

func (c remote) PutNew(ctx context.Context, _ string, data []byte) (Version, error) {
	_, v, err := c.do(ctx, http.MethodPut, "", data)
	return v, err
}

func (c remote) Replace(ctx context.Context, _ string, data []byte, tag string) (Version, error) {
	_, v, err := c.do(ctx, http.MethodPut, tag, data)
	return v, err
}

// TestLeaseChild is not a test of its own: it is the other process, which takes the
// lease, says so, and when it is told to commit says whether it may.
func TestLeaseChild(t *testing.T) {
	url := os.Getenv(leaseURL)
	if url == "" {
		return // only works in a process that another test starts
	}
	defer http.DefaultClient.CloseIdleConnections()
	l := NewLease(remote{url}, errNone, leaseName, LeaseOptions{Term: stopTerm})
	run, release, err := l.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("held")
	input := bufio.NewReader(os.Stdin)
	for {
		if _, err := input.ReadString('\n'); err != nil {
			release()
			return
		}
		fmt.Println("may it commit:", context.Cause(run))
	}
}

// TestStoppedProcess stops a real process that holds a lease, by SIGSTOP. Another
// takes the lease. When the first goes on, told to commit in the same moment, it
// knows that it may not.
func TestStoppedProcess(t *testing.T) {
	m := newMemory()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeaseChild$")
	cmd.Env = append(os.Environ(), leaseURL+"="+server.URL)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(stdout)
	want := func(words string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, words) {
			t.Fatalf("it says %q, %v, not %q", line, err, words)
		}
	}
	want("held")
	_, _ = io.WriteString(stdin, "commit\n")
	want("may it commit: <nil>")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b := NewLease(remote{server.URL}, errNone, leaseName, LeaseOptions{Term: stopTerm})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	run, release := eventually(t, b)
	_, _ = io.WriteString(stdin, "commit\n")
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	want("may it commit: " + ErrLost.Error())
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := context.Cause(run); err != nil || m.last().Session != b.session {
		t.Errorf("the new holder: %v, %+v", err, m.last())
	}
	release()
}

// eventually takes a lock as soon as it is free.
func eventually(t *testing.T, l Locker) (context.Context, func()) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		run, release, err := l.Acquire(t.Context())
		if err == nil {
			return run, release
		}
		if !errors.Is(err, ErrHeld) {
			t.Fatal(err)
		}
		<-tick.C
	}
}
