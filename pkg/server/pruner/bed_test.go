package pruner

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a service of several replicas with one project, whose clock a test moves. A
// backup is due at each full hour.
type bed struct {
	t              *testing.T
	stores         []*records.Store
	pruners        []*Pruner
	files          files.Store
	url            string
	project        records.Project
	agent, restore string // keys
	ahead          atomic.Int64
	log            *observer.ObservedLogs
}

// servers are what the second kind of service runs on, for all tests.
type servers struct {
	postgres *dbtest.Server
	s3       *dbtest.S3Server
}

// TestOnEach runs what is to hold on each kind of service.
func TestOnEach(t *testing.T) {
	s := servers{dbtest.Postgres(t, "max_connections=200"), dbtest.S3(t)}
	for name, test := range map[string]func(*testing.T, servers){
		"rules":                testRules,
		"not after failure":    testNotAfterFailure,
		"last good":            testLastGood,
		"not outlived":         testNotOutlived,
		"late is no newer":     testLateIsNoNewer,
		"run":                  testRun,
		"sweep meets done":     testSweepMeetsDone,
		"slow done":            testSlowDone,
		"killed":               testKilled,
		"both at once":         testBothAtOnce,
		"undelete meets sweep": testUndeleteMeetsSweep,
		"store fails":          testStoreFails,
		"failed and lost":      testFailedAndLost,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// onEach runs a test on each kind of service.
func onEach(t *testing.T, s servers, replicas int, test func(t *testing.T, b *bed)) {
	t.Parallel()
	t.Run("sqlite and a folder", func(t *testing.T) { test(t, newBed(t, replicas, servers{})) })
	t.Run("postgresql and a bucket", func(t *testing.T) { test(t, newBed(t, replicas, s)) })
}

// onOne runs a test on the kind of service that starts at once.
func onOne(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Parallel()
	test(t, newBed(t, 1, servers{}))
}

func newBed(t *testing.T, replicas int, with servers) *bed {
	t.Helper()
	b := &bed{t: t}
	core, log := observer.New(zap.DebugLevel)
	b.log = log
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "server.db")
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(strings.Split(t.Name(), "/postgresql")[0]))
	if with.postgres != nil {
		dsn = database(t, with.postgres, name)
	}
	for range replicas {
		s, err := records.Open(t.Context(), dsn, records.Options{Next: func(_ records.Project, after time.Time) time.Time {
			return after.Truncate(time.Hour).Add(time.Hour)
		}})
		b.ok(err)
		t.Cleanup(func() { s.Close() })
		b.stores = append(b.stores, s)
	}
	mux := http.NewServeMux()
	if s := with.s3; s != nil {
		s.Bucket(t, name, false)
		bucket, err := files.OpenBucket(files.BucketOptions{Bucket: name, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey})
		b.ok(err)
		t.Cleanup(func() { bucket.Close() })
		b.files = bucket
	} else {
		folder, err := files.OpenFolder(filepath.Join(t.TempDir(), "files"), bytes.Repeat([]byte("s"), 32), server.FolderOptions(b.stores[0], b.now, nil))
		b.ok(err)
		t.Cleanup(func() { folder.Close() })
		b.files = folder
		mux.Handle("/files/", folder)
	}
	for _, s := range b.stores {
		b.pruners = append(b.pruners, New(s, b.files, Options{Log: zap.New(core), Now: b.now}))
	}
	// Addresses are good for long, so that what they bring late is seen.
	mux.Handle("/", server.New(b.stores[0], b.files, server.Options{Now: b.now, Valid: 100 * time.Hour, Completed: b.pruners[0].Completed}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	b.url = s.URL
	var err error
	b.project, err = b.stores[0].CreateProject(t.Context(), records.Project{Name: "shop", Schedule: "0 * * * *", Zone: "UTC"}, b.now())
	b.ok(err)
	for kind, to := range map[string]*string{records.KeyAgent: &b.agent, records.KeyRestore: &b.restore} {
		*to, _, err = b.stores[0].CreateKey(t.Context(), b.project.ID, kind, "", b.now())
		b.ok(err)
	}
	return b
}

// database makes one of that name.
func database(t *testing.T, s *dbtest.Server, name string) (dsn string) {
	t.Helper()
	url := fmt.Sprintf("postgres://%s@127.0.0.1:%d/%%s?sslmode=disable", s.User, s.Port)
	db, err := sql.Open("pgx", fmt.Sprintf(url, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE DATABASE %q", name)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(url, name)
}

func (b *bed) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *bed) passes(d time.Duration) { b.ahead.Add(int64(d)) }

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}
