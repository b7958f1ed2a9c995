package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told is a source that says always the same.
type told struct {
	status Status
	number uint64
	err    error
}

func (s told) Status() Status           { return s.status }
func (s told) Request() (uint64, error) { return s.number, s.err }

// served is a server that a test asks.
type served struct {
	t      *testing.T
	client *http.Client
}

// serve serves on a unix socket, or on a port of this machine.
func serve(t *testing.T, network string, h http.Handler) *served {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s.sock")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(h)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &served{t, &http.Client{Transport: transport}}
}

// ask sends a request, with headers as name, value, and returns the answer and
// its body.
func (s *served) ask(method, path string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://shop"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(body)
}

func (s *served) wants(code int, method, path string, headers ...string) string {
	s.t.Helper()
	response, body := s.ask(method, path, headers...)
	if response.StatusCode != code {
		s.t.Errorf("%s %s: %s instead of %d: %s", method, path, response.Status, code, body)
	}
	return body
}

func allOK(context.Context) ([]Finding, error) {
	return []Finding{{Level: "ok", Subject: "storage", Message: "can be written"}}, nil
}

func TestRoutes(t *testing.T) {
	h := NewHandler(told{status: sampleIdle(), number: 7}, allOK)
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			s := serve(t, network, h)
			for _, path := range []string{"/", "/status", "/metrics", "/healthz"} {
				s.wants(200, "GET", path)
				if body := s.wants(200, "HEAD", path); body != "" {
					t.Errorf("HEAD %s has a body: %s", path, body)
				}
				for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
					s.wants(405, method, path)
				}
			}
			for _, path := range []string{"/backup", "/check"} {
				s.wants(405, "GET", path)
				s.wants(405, "DELETE", path)
			}
			for _, path := range []string{"/index.html", "/status/", "/page.css", "/debug/pprof/", "/favicon.ico", "/%00"} {
				s.wants(404, "GET", path)
				s.wants(404, "POST", path)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := serve(t, "unix", NewHandler(told{status: sampleIdle()}, nil))
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/status": "application/json", "/metrics": "text/plain; version=0.0.4",
		"/healthz": "text/plain; charset=utf-8", "/nothing": "text/plain; charset=utf-8",
	} {
		response, _ := s.ask("GET", path)
		h := response.Header
		if got := h.Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %s", path, got)
		}
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s has the policy %q", path, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s has %v", path, h)
		}
	}
}

func TestStatusIsJSON(t *testing.T) {
	for name, want := range samples() {
		if name == "hostile" {
			continue // it is not UTF-8, which JSON must be
		}
		s := serve(t, "unix", NewHandler(told{status: want}, nil))
		var got Status
		if err := json.Unmarshal([]byte(s.wants(200, "GET", "/status")), &got); err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestHealth(t *testing.T) {
	for name, status := range samples() {
		s := serve(t, "unix", NewHandler(told{status: status}, nil))
		code, want := 503, status.Problem+"\n"
		if status.Healthy {
			code, want = 200, "ok\n"
		}
		if body := s.wants(code, "GET", "/healthz"); body != want {
			t.Errorf("%s: %q instead of %q", name, body, want)
		}
	}
}

func TestBackupIsForTheSocketOnly(t *testing.T) {
	h := NewHandler(told{number: 7}, allOK)
	tcp, unix := serve(t, "tcp", h), serve(t, "unix", h)
	for _, path := range []string{"/backup", "/check"} {
		// Headers that a proxy, or an attacker, may add change nothing.
		for _, headers := range [][]string{{}, {"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=unix"}, {"Host", "localhost"}} {
			if body := tcp.wants(403, "POST", path, headers...); !strings.Contains(body, "curl --unix-socket") {
				t.Errorf("the refusal of %s does not say what to do: %s", path, body)
			}
		}
		// A browser on a forwarded socket, on another site's behalf.
		unix.wants(403, "POST", path, "Sec-Fetch-Site", "cross-site")
		unix.wants(403, "POST", path, "Origin", "https://example.org")
	}
	if body := unix.wants(202, "POST", "/backup"); body != "{\"run\":7}\n" {
		t.Errorf("POST /backup answers %s", body)
	}
	stopping := serve(t, "unix", NewHandler(told{err: ErrStopping}, nil))
	if body := stopping.wants(503, "POST", "/backup"); !strings.Contains(body, ErrStopping.Error()) {
		t.Errorf("an agent that stops answers %s", body)
	}
}

func TestCheck(t *testing.T) {
	if body := serve(t, "unix", NewHandler(told{}, allOK)).wants(200, "POST", "/check"); body != `[{"level":"ok","subject":"storage","message":"can be written"}]`+"\n" {
		t.Errorf("POST /check answers %s", body)
	}
	none := func(ctx context.Context) ([]Finding, error) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > checkLimit {
			t.Error("a check may take for ever")
		}
		return nil, nil
	}
	if body := serve(t, "unix", NewHandler(told{}, none)).wants(200, "POST", "/check"); body != "[]\n" {
		t.Errorf("no finding is %s", body)
	}
	broken := func(context.Context) ([]Finding, error) { return nil, errors.New("the database cannot be reached") }
	if body := serve(t, "unix", NewHandler(told{}, broken)).wants(500, "POST", "/check"); !strings.Contains(body, "cannot be reached") {
		t.Errorf("a check that fails answers %s", body)
	}
	without := serve(t, "unix", NewHandler(told{}, nil))
	without.wants(404, "POST", "/check")
	without.wants(404, "GET", "/check")
}

// TestCheckMayTakeLong lets a check take longer than the server's limit for
// answers.
func TestCheckMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) ([]Finding, error) {
			time.Sleep(checkLimit - time.Second)
			return nil, ctx.Err()
		}
		client := overPipe(t, onPipe(NewHandler(told{}, slow)))
		write(t, client, "POST /check HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
		if got, _ := io.ReadAll(client); !bytes.Contains(got, []byte("200 OK")) {
			t.Errorf("%s", got)
		}
	})
}

// TestSlowClient sends half a request and then nothing.
func TestSlowClient(t *testing.T) {
	for name, test := range map[string]struct {
		sent  string
		limit time.Duration
	}{
		"no header":   {"GET /status HTTP/1.1\r\nHo", headerLimit},
		"no body":     {"POST /backup HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n", exchangeLimit},
		"no next one": {"GET /status HTTP/1.1\r\nHost: shop\r\n\r\n", keepAliveLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := overPipe(t, NewHandler(told{}, nil))
				began := time.Now()
				write(t, client, test.sent)
				_, _ = io.Copy(io.Discard, client) // until the server gives up
				if took := time.Since(began); took > test.limit+time.Second {
					t.Errorf("it was kept for %s", took)
				}
			})
		})
	}
}

func TestLargeHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := overPipe(t, NewHandler(told{}, nil))
		go func() { // the server stops reading
			_, _ = io.WriteString(client, "GET /status HTTP/1.1\r\nHost: shop\r\nX-Large: "+strings.Repeat("x", headerBytes+8<<10)+"\r\n\r\n")
		}()
		if got, _ := io.ReadAll(client); !bytes.Contains(got, []byte(" 431 ")) {
			t.Errorf("%s", got)
		}
	})
}

// onPipe lets a handler see a connection of a unix socket.
func onPipe(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{})))
	})
}

// pipes is a listener in memory, of which time can be made to pass.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// overPipe serves one connection, and returns the client's end of it.
func overPipe(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	client, other := net.Pipe()
	l := &pipes{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- other
	server := NewServer(h)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-done
	})
	return client
}

// write sends without waiting until all of it is read.
func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}
