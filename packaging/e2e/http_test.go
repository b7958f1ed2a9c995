//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
)

// client speaks to an instance over its socket, a new connection each time.
func (m *machine) client(instance string) *http.Client {
	return &http.Client{
		Timeout: eventTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", m.path("/run/dbacked/"+instance+".sock"))
			},
		},
	}
}

// get asks an instance over its socket.
func (m *machine) get(t *testing.T, instance, path string) (code int, body string) {
	t.Helper()
	return m.ask(t, instance, http.MethodGet, path)
}

func (m *machine) ask(t *testing.T, instance, method, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, "http://localhost"+path, nil)
	must(t, err)
	response, err := m.client(instance).Do(request)
	must(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(data)
}

func (m *machine) status(t *testing.T, instance string) (s agent.Status) {
	t.Helper()
	code, body := m.get(t, instance, "/status")
	if code != http.StatusOK {
		t.Fatalf("/status of %s: %d %s", instance, code, body)
	}
	must(t, json.Unmarshal([]byte(body), &s))
	return s
}

// request asks for a backup and does not wait for it.
func (m *machine) request(t *testing.T, instance string) {
	t.Helper()
	if code, body := m.ask(t, instance, http.MethodPost, "/backup"); code != http.StatusAccepted {
		t.Fatalf("POST /backup to %s: %d %s", instance, code, body)
	}
}

// backup asks for a backup that begins after this call, and waits for it to be
// proved.
func (m *machine) backup(t *testing.T, instance string) entry {
	t.Helper()
	eventually(t, instance+" is idle", func() bool { return m.status(t, instance).Running == nil })
	mark := m.mark(t)
	m.request(t, instance)
	return m.journal.await(t, mark, event(instance, "backup-proved")...)
}

// healthy waits until an instance is, after a test that made it ill.
func (m *machine) healthy(t *testing.T, instance string) {
	t.Helper()
	var code int
	var body string
	deadline := time.Now().Add(eventTimeout)
	for code != http.StatusOK && time.Now().Before(deadline) {
		m.backup(t, instance)
		code, body = m.get(t, instance, "/healthz")
	}
	if code != http.StatusOK || strings.TrimSpace(body) != "ok" {
		t.Errorf("%s is not healthy: %d %s", instance, code, body)
	}
}
