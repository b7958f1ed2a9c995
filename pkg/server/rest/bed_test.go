package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a service, whose clock a test moves. Each answer of the API is held against
// its description.
type bed struct {
	t       *testing.T
	records *records.Store
	api     *API
	doc     *openapi3.T
	routes  routers.Router
	url     string
	full    string // tokens
	reads   string
	ahead   atomic.Int64
}

const sqlite, postgresql = "sqlite", "postgresql"

func newBed(t *testing.T, kind string) *bed {
	t.Helper()
	b := &bed{t: t}
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "server.db")
	if kind == postgresql {
		s := dbtest.Postgres(t)
		dsn = fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)
	}
	var err error
	b.records, err = records.Open(t.Context(), dsn, records.Options{Next: admin.Next})
	b.ok(err)
	t.Cleanup(func() { b.records.Close() })
	b.api, err = New(b.records, Options{Sender: alerts.NewSender(alerts.SMTP{}), Version: "1.2.3", Now: b.now})
	b.ok(err)
	mux := http.NewServeMux()
	mux.Handle("/api/", b.api)
	mux.Handle("/", server.New(b.records, files.Store(nil), server.Options{Now: b.now}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	b.url = s.URL
	d := described(b.api.document)
	b.ok(d.err)
	b.doc, b.routes = d.doc, d.routes
	b.full, b.reads = b.token("alice", false, 0), b.token("prometheus", true, 0)
	return b
}

type description struct {
	doc    *openapi3.T
	routes routers.Router
	err    error
}

var (
	describing sync.Once
	known      description
)

// described reads and validates the description, which is the same for all tests.
func described(text []byte) description {
	describing.Do(func() {
		if known.doc, known.err = openapi3.NewLoader().LoadFromData(text); known.err == nil {
			known.routes, known.err = legacy.NewRouter(known.doc) // which validates it
		}
	})
	return known
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// passes moves the clock.
func (b *bed) passes(d time.Duration) { b.ahead.Add(int64(d)) }

func (b *bed) token(name string, readOnly bool, lifetime time.Duration) string {
	b.t.Helper()
	plain, _, err := admin.New(b.records, "root", b.now).CreateToken(b.t.Context(), name, readOnly, lifetime)
	b.ok(err)
	return plain
}

// said is an answer.
type said struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	body   string
}

// call says something with a token; path begins after the prefix.
func (b *bed) call(token, method, path, body string) said {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+Prefix+path, strings.NewReader(body))
	b.ok(err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	s := send(b.t, r)
	b.asDescribed(r, s)
	return s
}

func send(t *testing.T, r *http.Request) said {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return said{t, r.Method + " " + r.URL.Path, answer.StatusCode, answer.Header, string(text)}
}

// asDescribed holds an answer against the description of the API.
func (b *bed) asDescribed(r *http.Request, s said) {
	b.t.Helper()
	route, values, err := b.routes.FindRoute(r)
	if err != nil {
		return // a test says what is not there
	}
	err = openapi3filter.ValidateResponse(b.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: values, Route: route},
		Status:                 s.status, Header: s.header, Body: io.NopCloser(bytes.NewReader([]byte(s.body))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		b.t.Errorf("%s: %d is not as it is described: %v", s.call, s.status, err)
	}
}

// is ends the test unless the answer has that status, and decodes it.
func (s said) is(status int, v any) said {
	s.t.Helper()
	if s.status != status {
		s.t.Fatalf("%s: %d instead of %d: %s", s.call, s.status, status, s.body)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(s.body), v); err != nil {
			s.t.Fatalf("%s: %v: %s", s.call, err, s.body)
		}
	}
	return s
}

// fails ends the test unless the answer is a problem that says so.
func (s said) fails(status int, detail string) {
	s.t.Helper()
	var p struct {
		Status int
		Detail string
	}
	s.is(status, &p)
	if p.Status != status || p.Detail == "" || !strings.Contains(s.body, detail) || s.header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s: %s %s, want status %d and %q", s.call, s.header.Get("Content-Type"), s.body, status, detail)
	}
}

// ask says something as an agent does.
func (b *bed) ask(key, method, path, body string) said {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	b.ok(err)
	r.Header.Set("Authorization", "ApiKey "+key)
	return send(b.t, r)
}

func (b *bed) create(name string) (p admin.Project) {
	b.t.Helper()
	b.call(b.full, "POST", "/projects", fmt.Sprintf(`{"name":%q}`, name)).is(http.StatusCreated, &p)
	return p
}

// given is a backup that an agent got.
func (b *bed) given(p admin.Project, agent string) (id string) {
	b.t.Helper()
	var g struct{ Backup struct{ ID string } }
	b.ask(p.APIKey, "POST", "/projects/own/backups", fmt.Sprintf(`{"agentId":%q,"agentVersion":"1","dbType":"pg","requestId":%q}`, agent, b.now())).is(http.StatusOK, &g)
	return g.Backup.ID
}
