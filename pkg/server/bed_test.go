package server

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/scheduler"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a service with one project, whose clock a test moves.
type bed struct {
	t       *testing.T
	records *records.Store
	url     string
	project records.Project
	agent   string // keys
	restore string
	ahead   atomic.Int64
}

// kinds are what the service can run on.
var kinds = []string{"sqlite and a folder", "postgresql and a bucket"}

// onEach runs a test on each kind of service.
func onEach(t *testing.T, test func(t *testing.T, b *bed)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, newBed(t, kind))
		})
	}
}

func newBed(t *testing.T, kind string) *bed {
	t.Helper()
	b := &bed{t: t}
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "server.db")
	if kind != kinds[0] {
		dsn = database(t)
	}
	b.open(dsn)
	var folder *files.Folder
	var fs files.Store
	if kind == kinds[0] {
		folder = b.folder()
		fs = folder
	} else {
		fs = bucket(t)
	}
	mux := http.NewServeMux()
	if folder != nil {
		mux.Handle("/files/", folder)
	}
	mux.Handle("/", New(b.records, fs, Options{Now: b.now}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	b.url = s.URL
	b.project, b.agent, b.restore = b.newProject("shop")
	return b
}

func (b *bed) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// passes moves the clock.
func (b *bed) passes(d time.Duration) { b.ahead.Add(int64(d)) }

func (b *bed) open(dsn string) {
	b.t.Helper()
	r, err := records.Open(b.t.Context(), dsn, records.Options{Next: func(p records.Project, after time.Time) time.Time {
		schedule, err := scheduler.Parse(p.Schedule, time.UTC)
		if err != nil {
			return time.Time{}
		}
		return schedule.Next(after)
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { r.Close() })
	b.records = r
}

func (b *bed) folder() *files.Folder {
	b.t.Helper()
	secret, err := b.records.Secret(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := files.OpenFolder(filepath.Join(b.t.TempDir(), "files"), secret, FolderOptions(b.records, b.now, nil))
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bed) newProject(name string) (p records.Project, agent, restore string) {
	b.t.Helper()
	p, err := b.records.CreateProject(b.t.Context(), records.Project{Name: name, Schedule: "0 * * * *", Zone: "UTC"}, b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	for kind, to := range map[string]*string{records.KeyAgent: &agent, records.KeyRestore: &restore} {
		if *to, _, err = b.records.CreateKey(b.t.Context(), p.ID, kind, "", b.now()); err != nil {
			b.t.Fatal(err)
		}
	}
	return p, agent, restore
}

// database is a PostgreSQL database of a server that the test has to itself.
func database(t *testing.T) string {
	t.Helper()
	s := dbtest.Postgres(t)
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)
}

func bucket(t *testing.T) files.Store {
	t.Helper()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	f, err := files.OpenBucket(files.BucketOptions{Bucket: "backups", Prefix: "some/prefix", Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// said is an answer.
type said struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	body   string
}

// call says something to the service, as raw as an agent does.
func (b *bed) call(key, method, path, body string) said {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "ApiKey "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return send(b.t, r)
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

// put uploads a part as agents do: Content-MD5, and no Content-Type.
func (b *bed) put(url string, part []byte) said {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(part))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-MD5", sum(part))
	return send(b.t, r)
}

func sum(part []byte) string {
	sum := md5.Sum(part)
	return base64.StdEncoding.EncodeToString(sum[:])
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

// fails ends the test unless the answer is a problem, to the letter of its shape.
func (s said) fails(status int, message string) {
	s.t.Helper()
	var p map[string]any
	s.is(status, &p)
	if p["status"] != float64(status) || !strings.Contains(fmt.Sprint(p["message"]), message) || message == "" {
		s.t.Errorf("%s: %s, want status %d and %q", s.call, s.body, status, message)
	}
}

func (b *bed) path(id, what string) string {
	return "/projects/" + b.project.ID + "/backups/" + id + "/" + what
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
