package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/server/guard"
)

// TestAnotherProject calls with the key of one project what belongs to another: it
// is answered like what does not exist.
func TestAnotherProject(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		o := &old{bed: b, id: "agent-1"}
		o.ask().is(http.StatusOK, &o.given)
		o.upload(partsOf(1)...)
		_, agent, restore := b.newProject("other")
		for _, key := range []string{agent, restore} {
			for _, call := range [][3]string{
				{"POST", b.path(o.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":1,"hash":%q}`, sum([]byte("x")))},
				{"POST", b.path(o.given.Backup.ID, "status"), fmt.Sprintf(`{"status":"DONE","agentId":"agent-1","partsEtag":%s,"hash":"x"}`, quoted(o.etags))},
				{"POST", b.path(o.given.Backup.ID, "status"), `{"status":"ERROR","agentId":"agent-1"}`},
				{"POST", b.path(o.given.Backup.ID, "heartbeat"), `{"agentId":"agent-1"}`},
				{"POST", b.path(o.given.Backup.ID, "parts"), fmt.Sprintf(`{"agentId":"agent-1","file":"x","partNumber":1,"hash":%q,"size":1}`, sum([]byte("x")))},
				{"POST", b.path(o.given.Backup.ID, "complete"), `{"agentId":"agent-1","file":"backup","partsEtag":["x"]}`},
				{"POST", b.path(o.given.Backup.ID, "discard"), `{"agentId":"agent-1","file":"backup"}`},
				{"GET", b.path(o.given.Backup.ID, "downloadUrl"), ""},
				{"GET", "/projects/" + b.project.ID + "/objects", ""},
				{"GET", "/projects/" + b.project.ID + "/objects/downloadUrl?name=backup", ""},
			} {
				s := b.call(key, call[0], call[1], call[2])
				s.fails(http.StatusNotFound, "no such")
			}
			// The same ids below a project of one's own.
			s := b.call(key, "GET", "/projects/own", "")
			var own api.Project
			s.is(http.StatusOK, &own)
			b.call(key, "GET", "/projects/"+own.ID+"/backups/"+o.given.Backup.ID+"/downloadUrl", "").fails(http.StatusNotFound, "no such")
		}
		o.done().is(http.StatusOK, nil)
		b.holds(o, bytes.Join(partsOf(1), nil), 1)
	})
}

// TestAgentsOnlyAdd is what an agent's key may not, and a restore key.
func TestAgentsOnlyAdd(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		o := &old{bed: b, id: "agent-1"}
		o.ask().is(http.StatusOK, &o.given)
		o.upload([]byte("all of it"))
		o.done().is(http.StatusOK, nil)
		b.call(b.agent, "GET", b.path(o.given.Backup.ID, "downloadUrl"), "").fails(http.StatusForbidden, "only add")
		b.call(b.agent, "GET", "/projects/"+b.project.ID+"/objects/downloadUrl?name=backup", "").fails(http.StatusForbidden, "only add")
		var own api.Project
		b.call(b.agent, "GET", "/projects/own", "").is(http.StatusOK, &own)
		if own.Backups == nil || len(own.Backups) != 0 {
			t.Errorf("it sees %+v", own.Backups)
		}
		// It takes nothing back that is done: the one file, its parts, or the backup.
		b.call(b.agent, "POST", b.path(o.given.Backup.ID, "discard"), `{"agentId":"agent-1","file":"backup"}`).fails(http.StatusConflict, "over")
		b.call(b.agent, "POST", b.path(o.given.Backup.ID, "parts"), fmt.Sprintf(`{"agentId":"agent-1","file":"backup","partNumber":1,"hash":%q,"size":1}`, sum([]byte("x")))).fails(http.StatusConflict, "over")
		b.call(b.agent, "POST", b.path(o.given.Backup.ID, "status"), `{"status":"ERROR","agentId":"agent-1","error":"never mind"}`).is(http.StatusOK, nil)
		b.call(b.agent, "DELETE", b.path(o.given.Backup.ID, ""), "").fails(http.StatusNotFound, "no DELETE")
		b.holds(o, []byte("all of it"), 1)
		b.passes(time.Hour)
		b.call(b.restore, "POST", "/projects/own/backups", `{"agentId":"x"}`).fails(http.StatusForbidden, "cannot make backups")
		b.project.AgentsRestore = true
		if err := b.records.UpdateProject(t.Context(), b.project); err != nil {
			t.Fatal(err)
		}
		b.call(b.agent, "GET", b.path(o.given.Backup.ID, "downloadUrl"), "").is(http.StatusOK, nil)
	})
}

// TestNonsense says what no agent says. Nothing is lost by it.
func TestNonsense(t *testing.T) {
	b := newBed(t, kinds[0])
	o := &old{bed: b, id: "agent-1"}
	o.ask().is(http.StatusOK, &o.given)
	o.upload(partsOf(1)...)
	status := b.path(o.given.Backup.ID, "status")
	for name, call := range map[string]struct {
		path, body string
		status     int
	}{
		"no JSON":             {status, "hello", http.StatusBadRequest},
		"two of them":         {status, "{}{}", http.StatusBadRequest},
		"a list":              {status, "[]", http.StatusBadRequest},
		"no status":           {status, "{}", http.StatusBadRequest},
		"another status":      {status, `{"status":"PERHAPS"}`, http.StatusBadRequest},
		"part 0":              {status, fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":0,"hash":%q}`, sum(nil)), http.StatusBadRequest},
		"part 10001":          {status, fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":10001,"hash":%q}`, sum(nil)), http.StatusBadRequest},
		"no MD5":              {status, `{"status":"IN_PROGRESS","agentId":"agent-1","partNumber":1,"hash":"x"}`, http.StatusBadRequest},
		"a part of 10 GB":     {b.path(o.given.Backup.ID, "parts"), fmt.Sprintf(`{"agentId":"agent-1","file":"x","partNumber":1,"hash":%q,"size":10000000000}`, sum(nil)), http.StatusBadRequest},
		"a path":              {b.path(o.given.Backup.ID, "parts"), fmt.Sprintf(`{"agentId":"agent-1","file":"../../etc/passwd","partNumber":1,"hash":%q,"size":1}`, sum(nil)), http.StatusBadRequest},
		"a path at the end":   {b.path(o.given.Backup.ID, "complete"), `{"agentId":"agent-1","file":"backup","as":"/etc/passwd","partsEtag":["x"]}`, http.StatusBadRequest},
		"a file without part": {b.path(o.given.Backup.ID, "complete"), `{"agentId":"agent-1","file":"none","partsEtag":["x"]}`, http.StatusNotFound},
		"a long agent":        {"/projects/own/backups", fmt.Sprintf(`{"agentId":%q}`, strings.Repeat("x", 300)), http.StatusBadRequest},
		"a NUL":               {"/projects/own/backups", `{"agentId":"a\u0000b"}`, http.StatusBadRequest},
		"a NUL in a path":     {"/projects/" + b.project.ID + "/backups/a%00b/status", `{"status":"ERROR"}`, http.StatusNotFound},
		"an unknown backup":   {b.path("20261122T215643Z-7f3c2a", "status"), `{"status":"ERROR"}`, http.StatusNotFound},
		"a backup with dots":  {"/projects/own/backups/..%2F..%2Fx/status", `{"status":"ERROR"}`, http.StatusNotFound},
		"both ways":           {status, fmt.Sprintf(`{"status":"DONE","agentId":"agent-1","partsEtag":%s,"manifest":"x","manifestName":"a/manifest"}`, quoted(o.etags)), http.StatusBadRequest},
		"an empty manifest":   {status, `{"status":"DONE","agentId":"agent-1","manifest":"x","manifestName":"../manifest"}`, http.StatusBadRequest},
		"an unfinished file":  {status, `{"status":"DONE","agentId":"agent-1","manifest":"x","manifestName":"a/manifest"}`, http.StatusBadRequest},
		"somebody else":       {status, fmt.Sprintf(`{"status":"DONE","agentId":"agent-2","partsEtag":%s,"hash":"x"}`, quoted(o.etags)), http.StatusConflict},
		"nowhere":             {"/projects", "{}", http.StatusNotFound},
	} {
		if s := b.call(b.agent, "POST", call.path, call.body); s.status != call.status || !strings.Contains(s.body, `"message"`) {
			t.Errorf("%s: %d %s", name, s.status, s.body)
		}
	}
	o.done().is(http.StatusOK, nil)
	b.holds(o, bytes.Join(partsOf(1), nil), 1)
}

// TestHundredMegabytes sends far too much JSON.
func TestHundredMegabytes(t *testing.T) {
	b := newBed(t, kinds[0])
	r, err := http.NewRequest(http.MethodPost, b.url+"/projects/own/backups", io.MultiReader(strings.NewReader(`{"agentId":"`), io.LimitReader(spaces{}, 100<<20)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "ApiKey "+b.agent)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(r)
	if err != nil {
		return // it was cut off
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", got.StatusCode)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestBruteForce tries wrong keys.
func TestBruteForce(t *testing.T) {
	b := newBed(t, kinds[0])
	for i := range guard.Most {
		b.call(fmt.Sprintf("dbk_%d", i), "GET", "/projects/own", "").fails(http.StatusUnauthorized, "not known")
	}
	s := b.call("dbk_x", "GET", "/projects/own", "")
	s.fails(http.StatusTooManyRequests, "wait")
	if s.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	b.call(b.agent, "GET", "/projects/own", "").is(http.StatusOK, nil)
	b.passes(guard.Window)
	b.call("dbk_x", "GET", "/projects/own", "").fails(http.StatusUnauthorized, "not known")
	b.call("", "GET", "/projects/own", "").fails(http.StatusUnauthorized, "needs a key")
}

// TestSlowClient sends a call byte by byte, and then nothing more.
func TestSlowClient(t *testing.T) {
	b := newBed(t, kinds[0])
	u, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /projects/own/backups HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: 100\r\n\r\n{", b.agent)
	conn.SetReadDeadline(time.Now().Add(2 * bodyLimit))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "408") {
		t.Errorf("%v: %s", err, answer)
	}
}
