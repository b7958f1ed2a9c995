package rest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/guard"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// each calls all operations that are described, with that token.
func (b *bed) each(token string, judge func(method, path string, s said)) {
	b.t.Helper()
	n := 0
	for path, item := range b.doc.Paths.Map() {
		for method := range item.Operations() {
			path := strings.NewReplacer("{project}", "shop", "{key}", "x", "{backup}", "x", "{target}", "x").Replace(strings.TrimPrefix(path, Prefix))
			judge(method, path, b.call(token, method, path, ""))
			n++
		}
	}
	if n < 18 {
		b.t.Errorf("only %d operations are described", n)
	}
}

// TestStrangers calls each operation as somebody who may not.
func TestStrangers(t *testing.T) {
	b, other := newBed(t, sqlite), newBed(t, sqlite)
	p := b.create("shop")
	brief := b.token("brief", false, time.Hour)
	b.call(brief, "GET", "/token", "").is(http.StatusOK, nil)
	b.passes(time.Hour)
	gone := b.token("gone", false, 0)
	stored, err := b.records.TokenNamed(t.Context(), "gone")
	b.ok(err)
	b.ok(b.records.RevokeToken(t.Context(), stored.ID, b.now()))
	for who, token := range map[string]string{
		"nobody": "", "another service's": other.full, "an agent": p.APIKey, "over": brief, "revoked": gone, "a piece": b.full[:20],
	} {
		b.each(token, func(method, path string, s said) {
			s.fails(http.StatusUnauthorized, "token")
			if s.header.Get("WWW-Authenticate") != guard.Scheme {
				t.Errorf("%s: %s %s does not say how to be let in", who, method, path)
			}
		})
		b.passes(guard.Window) // each has tries of its own
	}
	b.each(b.reads, func(method, path string, s said) {
		if method == http.MethodGet {
			if s.status == http.StatusForbidden || s.status == http.StatusUnauthorized {
				t.Errorf("who reads may not %s %s", method, path)
			}
			return
		}
		s.fails(http.StatusForbidden, "read-only")
	})
	// The scheme of agents, with a token, and with a key; a token where agents ask.
	for _, secret := range []string{b.full, p.APIKey} {
		b.ask(secret, "GET", Prefix+"/projects", "").fails(http.StatusUnauthorized, "token")
	}
	b.ask(b.full, "GET", "/projects/own", "").is(http.StatusUnauthorized, nil)
	if s := b.call("", "GET", "/openapi.json", ""); s.status != http.StatusOK || s.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", s.status, s.header)
	}
	if log := b.call(b.reads, "GET", "/audit", "").body; strings.Contains(log, "prometheus\",\"action") {
		t.Errorf("who reads is in the audit log: %s", log)
	}
}

// TestBruteForce tries wrong tokens. Who has one is not kept waiting.
func TestBruteForce(t *testing.T) {
	b := newBed(t, sqlite)
	for i := range guard.Most {
		b.call(fmt.Sprintf("dbt_%d", i), "GET", "/projects", "").fails(http.StatusUnauthorized, "not known")
	}
	s := b.call("dbt_x", "GET", "/projects", "")
	s.fails(http.StatusTooManyRequests, "wait")
	if s.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	b.call(b.full, "GET", "/projects", "").is(http.StatusOK, nil)
	b.passes(guard.Window)
	b.call("dbt_x", "GET", "/projects", "").fails(http.StatusUnauthorized, "not known")
}

// TestTooMuch sends more than a call may hold, and never ends.
func TestTooMuch(t *testing.T) {
	b := newBed(t, sqlite)
	b.call(b.full, "POST", "/projects", `{"name":"`+strings.Repeat("x", largestBody)+`"}`).fails(http.StatusRequestEntityTooLarge, "64 KiB")
	b.call(b.full, "POST", "/projects", strings.Repeat("[", 60_000)).fails(http.StatusBadRequest, "")
	b.call(b.full, "GET", "/projects/"+strings.Repeat("x", 300), "").fails(http.StatusUnprocessableEntity, "path.project")
}

// TestSlowClient sends a call byte by byte, and then nothing more.
func TestSlowClient(t *testing.T) {
	b := newBed(t, sqlite)
	b.api.bodyLimit = time.Second
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	b.ok(err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", b.full)
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "408") {
		t.Errorf("%v: %s", err, answer)
	}
}

// slowly sends nothing, and takes longer than a body may take to come; or fails badly.
type slowly struct{ wait time.Duration }

func (s slowly) Send(ctx context.Context, _ records.Target, _ alerts.Message) error {
	if s.wait == 0 {
		panic("secret-777")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.wait):
		return nil
	}
}

// TestSlowOperation takes longer than the time for a body, on a connection that was
// used before: nothing of that time is left to end it.
func TestSlowOperation(t *testing.T) {
	b := newBed(t, sqlite)
	b.api.bodyLimit = time.Second / 2
	b.api.options.Sender = slowly{2 * b.api.bodyLimit}
	s := httptest.NewServer(b.api)
	defer s.Close()
	made, err := b.records.AddTarget(t.Context(), records.Target{Kind: alerts.TargetWebhook, Config: `{"url":"http://example.org/"}`}, b.now())
	b.ok(err)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/alert-targets", "/alert-targets/" + made.ID + "/test"} {
		r, err := http.NewRequest(http.MethodPost, s.URL+Prefix+path, strings.NewReader("{}"))
		b.ok(err)
		r.Header.Set("Authorization", "Bearer "+b.full)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		b.ok(err)
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if want := http.StatusNoContent; strings.HasSuffix(path, "test") && answer.StatusCode != want {
			t.Errorf("%d instead of %d", answer.StatusCode, want)
		}
	}
}

// TestPanic is answered, and tells nobody why but the log.
func TestPanic(t *testing.T) {
	b := newBed(t, sqlite)
	b.api.options.Sender = slowly{}
	made, err := b.records.AddTarget(t.Context(), records.Target{Kind: alerts.TargetWebhook, Config: `{"url":"http://example.org/"}`}, b.now())
	b.ok(err)
	s := b.call(b.full, "POST", "/alert-targets/"+made.ID+"/test", "")
	s.fails(http.StatusInternalServerError, "its log says why")
	if strings.Contains(s.body, "secret-777") {
		t.Errorf("it says %s", s.body)
	}
}
