package client

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a service with a project whose agents may read, unless a test says
// otherwise, and that is always due.
type bed struct {
	t       *testing.T
	records *records.Store

	database string // SQLite's file
	url      string
	project  records.Project
	key      string
	ahead    atomic.Int64
	fault    atomic.Pointer[func(w http.ResponseWriter, r *http.Request, next http.Handler)]
}

// inFolder and inBucket are where the service keeps files.
const (
	inFolder = iota
	inBucket
)

func newBed(t *testing.T, where int) *bed {
	t.Helper()
	return newBedOf(t, where, func(service http.Handler) http.Handler { return service })
}

// newOldBed is newBed, of a service of 2018.
func newOldBed(t *testing.T, where int) *bed {
	t.Helper()
	return newBedOf(t, where, dbtest.OldService)
}

func newBedOf(t *testing.T, where int, as func(service http.Handler) http.Handler) *bed {
	t.Helper()
	b := &bed{t: t}
	var err error
	b.database = filepath.Join(memory(t), "server.db")
	b.records, err = records.Open(t.Context(), "sqlite:"+b.database, records.Options{
		Next: func(_ records.Project, after time.Time) time.Time { return after.Add(time.Nanosecond) },
	})
	b.ok(err)
	t.Cleanup(func() { b.records.Close() })
	var store files.Store
	mux := http.NewServeMux()
	if where == inFolder {
		folder := b.folder()
		mux.Handle("/files/", folder)
		store = folder
	} else {
		s := dbtest.S3(t)
		s.Bucket(t, "backups", false)
		store, err = files.OpenBucket(files.BucketOptions{Bucket: "backups", Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey})
		b.ok(err)
	}
	mux.Handle("/", server.New(b.records, store, server.Options{Now: b.now}))
	service := as(mux)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := b.fault.Load(); fault != nil {
			(*fault)(w, r, service)
			return
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	b.project, err = b.records.CreateProject(t.Context(), records.Project{Name: "shop", Schedule: "* * * * *", AgentsRestore: true}, b.now())
	b.ok(err)
	b.key, _, err = b.records.CreateKey(t.Context(), b.project.ID, records.KeyAgent, "", b.now())
	b.ok(err)
	return b
}

// memory is a folder in memory, where a commit costs nothing.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dbacked")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (b *bed) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *bed) folder() *files.Folder {
	b.t.Helper()
	secret, err := b.records.Secret(b.t.Context())
	b.ok(err)
	f, err := files.OpenFolder(filepath.Join(b.t.TempDir(), "files"), secret, server.FolderOptions(b.records, b.now, nil))
	b.ok(err)
	b.t.Cleanup(func() { f.Close() })
	return f
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// client is an agent's.
func (b *bed) client(agent string) *Client {
	b.t.Helper()
	c, err := New(Options{URL: b.url, Key: b.key, AgentID: agent, Version: "test", DBType: "pg", Tries: 4, Wait: time.Millisecond})
	b.ok(err)
	b.t.Cleanup(func() { c.Close() })
	return c
}

func (b *bed) ask(c *Client) *Run {
	b.t.Helper()
	run, err := c.Ask(b.t.Context())
	b.ok(err)
	b.t.Cleanup(func() { run.End(nil) })
	return run
}

// behave lets a fault stand before the service; nil ends it.
func (b *bed) behave(fault func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	if fault == nil {
		b.fault.Store(nil)
		return
	}
	b.fault.Store(&fault)
}
