package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/admin"
)

// TestDocumentedCalls runs what the documentation shows of the REST API.
func TestDocumentedCalls(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("curl")
	dbtest.Need(t, "curl", err)
	doc, err := os.ReadFile("../../packaging/doc/server.md")
	must(t, err)
	_, script, found := strings.Cut(string(doc), "```sh\napi() {")
	if !found {
		t.Fatal("the documentation shows no calls")
	}
	script, _, _ = strings.Cut("api() {"+script, "\n```")
	data := filepath.Join(t.TempDir(), "data")
	var made admin.Token
	must(t, json.Unmarshal(ok(t, "token", "create", "alice", "--json", "--data", data), &made))
	url, _, _ := serve(t, data)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), "TOKEN="+made.Token, "URL="+url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, part := range []string{`"schedule":"@hourly"`, `"label":"safe"`, `"items":[]`, `"to":"admin@example.org"`, `"actor":"token alice"`} {
		if !strings.Contains(string(out), part) {
			t.Errorf("no call says %s:\n%s", part, out)
		}
	}
	log := strings.Join(strings.Fields(string(ok(t, "audit", "--data", data))), " ")
	for _, part := range []string{"alice token-create", "token alice project-create", "token alice project-set", "token alice key-create", "token alice alert-target-add", "token alice project-remove"} {
		if !strings.Contains(log, part) {
			t.Errorf("the audit log does not say %q:\n%s", part, log)
		}
	}
}

// TestServedMetrics: they take a token, unless they are public; health takes none.
func TestServedMetrics(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := create(t, data, "shop")
	var reads admin.Token
	must(t, json.Unmarshal(ok(t, "token", "create", "prometheus", "--read-only", "--json", "--data", data), &reads))
	closed, _, _ := serve(t, data)
	open, _, _ := serve(t, data, "--metrics-public")
	for _, look := range []struct {
		url, token string
		status     int
	}{
		{closed + "/metrics", "", http.StatusUnauthorized},
		{closed + "/metrics", p.APIKey, http.StatusUnauthorized},
		{closed + "/metrics", reads.Token, http.StatusOK},
		{open + "/metrics", "", http.StatusOK},
		{open + "/api/v1/projects", "", http.StatusUnauthorized},
		{closed + "/healthz", "", http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, look.url, nil)
		must(t, err)
		if look.token != "" {
			r.Header.Set("Authorization", "Bearer "+look.token)
		}
		answer, text := send(t, r)
		if answer.StatusCode != look.status {
			t.Errorf("%s: %d instead of %d: %s", look.url, answer.StatusCode, look.status, text)
		}
		if told := strings.Contains(string(text), `dbacked_server_project_late{project="shop"} 0`); told != (look.status == http.StatusOK && strings.HasSuffix(look.url, "/metrics")) {
			t.Errorf("%s: of the project it tells: %v", look.url, told)
		}
	}
}

// TestProgress shows how far a backup is, in lists for people and for programs, without
// what an agent has put in for the terminal.
func TestProgress(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := create(t, data, "shop")
	url, _, stop := serve(t, data)
	var given struct{ Backup struct{ ID string } }
	call(t, p.APIKey, "POST", url+"/projects/own/backups", `{"agentId":"db\u001b[2J1","agentVersion":"1.0.0","dbType":"pg","requestId":"r"}`, &given)
	call(t, p.APIKey, "POST", url+"/projects/"+p.ID+"/backups/"+given.Backup.ID+"/heartbeat",
		`{"agentId":"db\u001b[2J1","progress":{"stage":"dump\u001b[2J","plainBytes":3145728,"storedBytes":1048576}}`, nil)
	stop() // writes which agents were seen
	for _, what := range []string{"backup", "agent"} {
		text := string(ok(t, what, "list", "shop", "--data", data))
		if !strings.Contains(text, "dump?[2J: 3.0 MiB dumped, 1.0 MiB stored") || !strings.Contains(text, given.Backup.ID) || strings.Contains(text, "\x1b") {
			t.Errorf("%s list shows %q", what, text)
		}
	}
	var b admin.Backup
	must(t, json.Unmarshal(ok(t, "backup", "list", "shop", "--json", "--data", data), &b))
	var a admin.Agent
	must(t, json.Unmarshal(ok(t, "agent", "list", "shop", "--json", "--data", data), &a))
	var o admin.Project
	must(t, json.Unmarshal(ok(t, "project", "list", "--json", "--data", data), &o))
	for what, got := range map[string]*admin.Progress{"backup": b.Progress, "agent": a.UnderWay.Progress, "project": o.UnderWay.Progress} {
		if got == nil || got.PlainBytes != 3145728 || got.StoredBytes != 1048576 {
			t.Errorf("%s list --json: %+v", what, got)
		}
	}
	if time.Since(a.LastSeen) > time.Hour {
		t.Errorf("it was seen at %s", a.LastSeen)
	}
}
