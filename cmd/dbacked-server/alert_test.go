package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
)

// said runs a command on the data of a test.
func said(t *testing.T, data string, args ...string) (out, err string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append(args, "--data", data), &stdout, &stderr)
	return stdout.String(), stderr.String(), status
}

// well runs a command that has to go well, and decodes the first object it prints.
func well(t *testing.T, data string, v any, args ...string) string {
	t.Helper()
	out, err, status := said(t, data, args...)
	if status != exitOK {
		t.Fatalf("%v: %d, %s", args, status, err)
	}
	if v != nil {
		if err := json.NewDecoder(strings.NewReader(out)).Decode(v); err != nil {
			t.Fatalf("%v: %v in %s", args, err, out)
		}
	}
	return out
}

// TestAlertTargets adds a webhook, shows it without its secrets, and sends to it what
// the secret proves.
func TestAlertTargets(t *testing.T) {
	var body []byte
	var signed string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		signed = r.Header.Get(alerts.Webhook)
	}))
	defer hook.Close()
	data := filepath.Join(t.TempDir(), "data")
	var p admin.Project
	well(t, data, &p, "project", "create", "shop", "--json")
	var added, removed admin.Target
	well(t, data, &added, "alert", "target", "add", "shop", "--webhook", hook.URL+"/token-77777", "--json")
	if added.Secret == "" || added.ProjectID != p.ID || strings.Contains(added.To, "77777") {
		t.Errorf("%+v", added)
	}
	well(t, data, nil, "alert", "target", "add", "--all", "--email", "a@example.org", "--email", "b@example.org")
	for _, command := range [][]string{{"alert", "target", "list"}, {"alert", "target", "list", "--json"}, {"audit"}, {"audit", "--json"}} {
		out := well(t, data, nil, command...)
		if strings.Contains(out, "77777") || strings.Contains(out, added.Secret) || !strings.Contains(out, "a@example.org, b@example.org") {
			t.Errorf("%v: %s", command, out)
		}
	}
	well(t, data, nil, "alert", "test", added.ID, "--json")
	if signed != alerts.Sign(added.Secret, body) || !strings.Contains(string(body), `"kind":"test"`) {
		t.Errorf("%s, signed %s", body, signed)
	}
	if out := well(t, data, nil, "alert", "list", "shop", "--json"); out != "" {
		t.Errorf("alerts: %s", out)
	}
	hook.Close()
	if _, err, status := said(t, data, "alert", "test", added.ID); status != exitFailure || strings.Contains(err, "77777") {
		t.Errorf("%d, %s", status, err)
	}
	well(t, data, &removed, "alert", "target", "remove", added.ID, "--json")
	if removed.ID != added.ID || removed.Secret != "" {
		t.Errorf("%+v", removed)
	}
	for want, args := range map[string][]string{
		"there is no target":  {"alert", "target", "remove", added.ID},
		"which project":       {"alert", "target", "add", "--email", "a@example.org"},
		"whom to tell":        {"alert", "target", "add", "shop"},
		"is no address":       {"alert", "target", "add", "shop", "--email", "nobody"},
		"there is no project": {"alert", "target", "add", "no-shop", "--email", "a@example.org"},
		"no service":          {"alert", "target", "add", "shop", "--shoutrrr", "nothing://token-77777"},
		"":                    {"alert", "target", "add", "shop", "--email", "a@example.org", "--webhook", "http://example.org"},
	} {
		if _, err, status := said(t, data, args...); status == exitOK || !strings.Contains(err, want) || strings.Contains(err, "77777") {
			t.Errorf("%v: %d, %s", args, status, err)
		}
	}
}
