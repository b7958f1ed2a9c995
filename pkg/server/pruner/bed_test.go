package pruner

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// onEach runs a test on each kind of service.
func onEach(t *testing.T, replicas int, test func(t *testing.T, b *bed)) {
	t.Parallel()
	for _, kind := range []string{"sqlite and a folder", "postgresql and a bucket"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, newBed(t, replicas, kind == "postgresql and a bucket"))
		})
	}
}

// onOne runs a test on the kind of service that starts at once.
func onOne(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Parallel()
	test(t, newBed(t, 1, false))
}

func newBed(t *testing.T, replicas int, remote bool) *bed {
	t.Helper()
	b := &bed{t: t}
	core, log := observer.New(zap.DebugLevel)
	b.log = log
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "server.db")
	if remote {
		s := dbtest.Postgres(t)
		dsn = fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)
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
	if remote {
		s := dbtest.S3(t)
		s.Bucket(t, "backups", false)
		bucket, err := files.OpenBucket(files.BucketOptions{Bucket: "backups", Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey})
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

func (b *bed) now() time.Time         { return time.Now().Add(time.Duration(b.ahead.Load())) }
func (b *bed) passes(d time.Duration) { b.ahead.Add(int64(d)) }

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// keeps changes the project's rules.
func (b *bed) keeps(change func(p *records.Project)) {
	b.t.Helper()
	change(&b.project)
	b.ok(b.stores[0].UpdateProject(b.t.Context(), b.project))
}

// everywhere does something on all replicas at the same time.
func (b *bed) everywhere(do func(p *Pruner)) {
	var all sync.WaitGroup
	for _, p := range b.pruners {
		all.Go(func() { do(p) })
	}
	all.Wait()
}

func (b *bed) retain() { b.everywhere(func(p *Pruner) { p.retainAll(b.t.Context()) }) }

// sweep lets all replicas sweep, in a turn that begins after no pause.
func (b *bed) sweep() { b.everywhere(func(p *Pruner) { p.sweep(b.t.Context(), records.Turn{}) }) }

// say says something to the service, and decodes an answer of 200.
func (b *bed) say(key, method, path, body string, v any) (status int) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	b.ok(err)
	r.Header.Set("Authorization", "ApiKey "+key)
	status, _, text := b.send(r)
	if status == http.StatusOK && v != nil {
		b.ok(json.Unmarshal(text, v))
	}
	return status
}

func (b *bed) send(r *http.Request) (status int, header http.Header, text []byte) {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	b.ok(err)
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	b.ok(err)
	return answer.StatusCode, answer.Header, text
}

// made is a backup that an agent of 2018 makes.
type made struct {
	id, path, address string
	content           []byte
	etag              string
}

// begin is given a backup and uploads its one part.
func (b *bed) begin() *made {
	b.t.Helper()
	var given struct{ Backup struct{ ID string } }
	if status := b.say(b.agent, "POST", "/projects/own/backups", `{"agentId":"a","agentVersion":"0.4.1","dbType":"pg"}`, &given); status != http.StatusOK {
		b.t.Fatalf("no backup is given: %d", status)
	}
	m := &made{id: given.Backup.ID, path: "/projects/" + b.project.ID + "/backups/" + given.Backup.ID}
	m.content = []byte("the content of " + m.id)
	var part struct{ PartUploadURL string }
	body := fmt.Sprintf(`{"status":"IN_PROGRESS","agentId":"a","partNumber":1,"hash":%q}`, m.md5())
	if status := b.say(b.agent, "POST", m.path+"/status", body, &part); status != http.StatusOK {
		b.t.Fatalf("no part is given: %d", status)
	}
	m.address = part.PartUploadURL
	if status := b.put(m); status != http.StatusOK {
		b.t.Fatalf("the part is not taken: %d", status)
	}
	return m
}

func (m *made) md5() string {
	sum := md5.Sum(m.content)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// put uploads the part.
func (b *bed) put(m *made) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, m.address, bytes.NewReader(m.content))
	b.ok(err)
	r.Header.Set("Content-MD5", m.md5())
	status, header, _ := b.send(r)
	if tag := header.Get("ETag"); tag != "" {
		m.etag = tag
	}
	return status
}

func (b *bed) done(m *made) int {
	b.t.Helper()
	sum := md5.Sum(m.content)
	return b.say(b.agent, "POST", m.path+"/status", fmt.Sprintf(`{"status":"DONE","agentId":"a","partsEtag":[%q],"hash":%q}`, m.etag, hex.EncodeToString(sum[:])), nil)
}

func (b *bed) fail(m *made) int {
	b.t.Helper()
	return b.say(b.agent, "POST", m.path+"/status", `{"status":"ERROR","agentId":"a","error":"boom"}`, nil)
}

// backup makes one, and lets an hour pass.
func (b *bed) backup() *made {
	b.t.Helper()
	m := b.begin()
	if status := b.done(m); status != http.StatusOK {
		b.t.Fatalf("done: %d", status)
	}
	b.passes(time.Hour)
	return m
}

// lost makes one whose agent falls silent, so that another is given.
func (b *bed) lost() *made {
	b.t.Helper()
	m := b.begin()
	b.passes(3 * time.Hour)
	var given struct{ Backup struct{ ID string } }
	if status := b.say(b.agent, "POST", "/projects/own/backups", `{"agentId":"b"}`, &given); status != http.StatusOK {
		b.t.Fatalf("no other is given: %d", status)
	}
	if status := b.say(b.agent, "POST", "/projects/"+b.project.ID+"/backups/"+given.Backup.ID+"/status", `{"status":"ERROR","agentId":"b"}`, nil); status != http.StatusOK {
		b.t.Fatalf("the other: %d", status)
	}
	b.is(m, records.StateLost, "")
	return m
}

// is wants a backup's state and what became of it.
func (b *bed) is(m *made, state, phase string) {
	b.t.Helper()
	got, err := b.stores[0].Backup(b.t.Context(), b.project.ID, m.id)
	b.ok(err)
	if got.State != state || got.Removal.Phase != phase {
		b.t.Errorf("backup %s is %s and %q, not %s and %q", m.id, got.State, got.Removal.Phase, state, phase)
	}
}

// seen wants what a restore key can download: these and no others, the newest first.
func (b *bed) seen(want ...*made) {
	b.t.Helper()
	var own struct{ Backups []struct{ ID string } }
	b.say(b.restore, "GET", "/projects/own", "", &own)
	var ids, wanted []string
	for _, one := range own.Backups {
		ids = append(ids, one.ID)
	}
	for _, m := range want {
		wanted = append(wanted, m.id)
		var at struct{ DownloadURL string }
		if status := b.say(b.restore, "GET", m.path+"/downloadUrl", "", &at); status != http.StatusOK {
			b.t.Errorf("%s cannot be downloaded: %d", m.id, status)
			continue
		}
		r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, at.DownloadURL, nil)
		b.ok(err)
		if status, _, text := b.send(r); status != http.StatusOK || !bytes.Equal(text, m.content) {
			b.t.Errorf("%s: %d %.100s", m.id, status, text)
		}
	}
	if strings.Join(ids, " ") != strings.Join(wanted, " ") {
		b.t.Errorf("there are %q instead of %q", ids, wanted)
	}
	var objects struct{ Objects []struct{ BackupID string } }
	b.say(b.restore, "GET", "/projects/"+b.project.ID+"/objects", "", &objects)
	for _, o := range objects.Objects {
		if !slices.Contains(wanted, o.BackupID) {
			b.t.Errorf("a file of %s is listed", o.BackupID)
		}
	}
	if len(objects.Objects) != len(want) {
		b.t.Errorf("%d files are listed", len(objects.Objects))
	}
}

// unseen wants backups that no key can download.
func (b *bed) unseen(all ...*made) {
	b.t.Helper()
	for _, m := range all {
		if status := b.say(b.restore, "GET", m.path+"/downloadUrl", "", nil); status != http.StatusNotFound {
			b.t.Errorf("%s can be downloaded: %d", m.id, status)
		}
	}
}

// there says whether a backup's file is stored.
func (b *bed) there(m *made) bool {
	b.t.Helper()
	_, err := b.files.Read(context.WithoutCancel(b.t.Context()), files.Ref{Project: b.project.ID, Backup: m.id, Number: 1}, 1<<20)
	if err != nil && !errors.Is(err, files.ErrNotFound) {
		b.t.Fatal(err)
	}
	return err == nil
}

// audited counts what the audit log says of a backup.
func (b *bed) audited(action string, m *made) (n int) {
	b.t.Helper()
	all, err := b.stores[0].AuditLog(b.t.Context(), b.project.ID, 10_000)
	b.ok(err)
	for _, e := range all {
		if e.Action == action && strings.HasPrefix(e.Detail, m.id) {
			n++
		}
	}
	return n
}
