package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/s3"
)

// bucket is a bucket with object lock on a real service, behind a proxy, and
// somebody who may do what the agent may.
type bucket struct {
	*s3.Store
	t     *testing.T
	name  string
	core  *minio.Core
	proxy *dbtest.FaultProxy
	by    *Signer
	trust Trust
}

// newBucket holds the good backups of id1 and id2.
func newBucket(t *testing.T, server *dbtest.S3Server, name string, lock s3.Lock) *bucket {
	t.Helper()
	server.Bucket(t, name, true)
	b := &bucket{t: t, name: name, core: server.Client(t)}
	b.proxy = dbtest.NewFaultProxy(t, server.Host, func(*http.Request) dbtest.Fault { return dbtest.Fault{} })
	b.Store = must[*s3.Store](t)(s3.Open(s3.Options{
		Bucket: name, Endpoint: b.proxy.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, Lock: lock,
		Backoff: storage.Backoff{Tries: 3, First: time.Millisecond},
	}))
	t.Cleanup(func() { _ = b.Close() })
	b.by, b.trust = signer(t)
	for _, id := range []string{id1, id2} {
		m := manifest(id)
		m.Started = time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
		m.Finished = m.Started
		ok(t, b.Put(t.Context(), Path("mydb", id, "0000.dbacked"), []byte("one")))
		ok(t, b.Put(t.Context(), Path("mydb", id, "0001.dbacked"), []byte("four")))
		ok(t, Commit(t.Context(), b, m, b.by))
	}
	return b
}

func (b *bucket) over(name string, data []byte) {
	b.t.Helper()
	must[minio.UploadInfo](b.t)(b.core.PutObject(context.Background(), b.name, name, bytes.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{}))
}

func (b *bucket) hide(names ...string) {
	b.t.Helper()
	for _, name := range names {
		ok(b.t, b.core.RemoveObject(context.Background(), b.name, name, minio.RemoveObjectOptions{}))
	}
}

// forged is a good manifest that another key signed.
func forged(t *testing.T, id string) []byte {
	t.Helper()
	other, _ := signer(t)
	return must[[]byte](t)(Encode(manifest(id), other))
}

// requests counts the requests that match, and does f to them.
func (b *bucket) requests(match func(*http.Request) bool, f dbtest.Fault) {
	f.Name = "seen"
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if match(r) {
			return f
		}
		return dbtest.Fault{}
	})
}

func aboutVersions(r *http.Request) bool {
	return r.URL.Query().Has("versions") || r.URL.Query().Has("versionId")
}

var tampering = map[string]func(t *testing.T, b *bucket, name string){
	"garbage": func(_ *testing.T, b *bucket, name string) { b.over(name, []byte("garbage")) },
	"huge":    func(_ *testing.T, b *bucket, name string) { b.over(name, make([]byte, maxManifest+2)) },
	"foreign": func(t *testing.T, b *bucket, name string) { b.over(name, forged(t, id2)) },
	"another backup's, genuine": func(t *testing.T, b *bucket, name string) {
		b.over(name, must[[]byte](t)(Encode(manifest(id1), b.by)))
	},
	"many times, and removed between": func(t *testing.T, b *bucket, name string) {
		for i := range mostTried + 10 {
			if i%10 == 0 {
				b.hide(name)
			}
			b.over(name, fmt.Appendf(nil, "garbage %d", i))
		}
	},
}

// TestManifestOverwritten finds the good manifest under what was written over it.
func TestManifestOverwritten(t *testing.T) {
	server := dbtest.S3(t)
	name := Path("mydb", id2, manifestName)
	for what, tamper := range tampering {
		t.Run(what, func(t *testing.T) {
			b := newBucket(t, server, fmt.Sprintf("b-%d", time.Now().UnixNano()), s3.Lock{Mode: s3.Compliance, For: time.Hour})
			b.requests(aboutVersions, dbtest.Fault{})
			before := must[[]Entry](t)(List(t.Context(), b, "mydb", b.trust))
			if n := b.proxy.Done()["seen"]; n != 0 {
				t.Errorf("%d requests about versions where all is well", n)
			}
			good := must[[]storage.ObjectVersion](t)(b.Versions(t.Context(), name))[0]
			tamper(t, b, name)
			after := must[[]Entry](t)(List(t.Context(), b, "mydb", b.trust))
			d := after[0].Displaced
			after[0].Displaced = nil
			if diff := cmp.Diff(before, after); diff != "" {
				t.Fatalf("(-before +after)\n%s", diff)
			}
			if d == nil || d.Name != name || d.Good.ID != good.ID || d.Newest.Removed || !d.Newest.Latest || !strings.Contains(d.Error(), "was overwritten on") {
				t.Errorf("%v", d)
			}
			e := must[Entry](t)(Load(t.Context(), b, "mydb", id2, b.trust))
			recent := must[[]*Manifest](t)(Recent(t.Context(), b, "mydb", b.trust, 5))
			if e.Proof != nil || e.Displaced == nil || len(recent) != 2 || recent[0].ID != id2 {
				t.Errorf("%+v, %v", e, recent)
			}
			backups := must[[]Dated](t)(Survey(t.Context(), b, "mydb", b.trust))
			plan := Plan(time.Now(), backups, Policy{KeepLast: 1})
			// The store dates an older version by when it was replaced: as it says now.
			if !backups[0].Date.Equal(d.Good.Modified) || len(plan.Removals()) != 0 || len(plan.Alerts) != 1 || !strings.Contains(plan.Alerts[0], good.ID) {
				t.Errorf("%v: %+v", backups[0].Date, plan)
			}
		})
	}
}

// TestManifestOfAThief: who holds the instance's key can write a manifest over
// another that is proved like it. The first one is the good one.
func TestManifestOfAThief(t *testing.T) {
	server := dbtest.S3(t)
	b := newBucket(t, server, "thief", s3.Lock{})
	name := Path("mydb", id2, manifestName)
	original := func(e Entry) Entry {
		t.Helper()
		return must[Entry](t)(Original(t.Context(), b, "mydb", b.trust, e))
	}
	before := must[Entry](t)(Load(t.Context(), b, "mydb", id2, b.trust))
	if diff := cmp.Diff(before, original(before)); diff != "" {
		t.Errorf("where all is well: (-want +got)\n%s", diff)
	}
	b.over(name, must[[]byte](t)(Encode(before.Manifest, b.by)))
	if e := original(before); e.Displaced != nil {
		t.Errorf("the same once more is nothing: %v", e.Displaced)
	}
	m := *before.Manifest
	m.Database = "another"
	b.over(name, must[[]byte](t)(Encode(&m, b.by)))
	believed := must[Entry](t)(Load(t.Context(), b, "mydb", id2, b.trust))
	if believed.Proof != nil || believed.Manifest.Database != "another" {
		t.Fatalf("%+v", believed)
	}
	e := original(believed)
	if diff := cmp.Diff(before.Manifest, e.Manifest); diff != "" || e.Proof != nil || e.Displaced == nil || e.Displaced.Name != name {
		t.Errorf("%+v (-want +got)\n%s", e, diff)
	}
	b.requests(aboutVersions, dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"})
	e, err := Original(t.Context(), b, "mydb", b.trust, believed)
	if diff := cmp.Diff(believed, e); diff != "" || !errors.Is(err, storage.ErrForbidden) {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// TestManifestRemoved finds backups that only the mark of a removal hides.
func TestManifestRemoved(t *testing.T) {
	b := newBucket(t, dbtest.S3(t), "removed", s3.Lock{Mode: s3.Compliance, For: time.Hour})
	find := func(f func() ([]Entry, error), want ...string) {
		t.Helper()
		var ids []string
		for _, e := range must[[]Entry](t)(f()) {
			ids = append(ids, e.ID)
			if e.Proof != nil || e.Displaced == nil || !e.Displaced.Newest.Removed || !strings.Contains(e.Displaced.Error(), "was removed on") {
				t.Errorf("%+v", e)
			}
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Error(diff)
		}
	}
	ctx := t.Context()
	after := func(m *Manifest) func() ([]Entry, error) {
		return func() ([]Entry, error) { return RemovedAfter(ctx, b, "mydb", b.trust, m) }
	}
	with := func(prefix string) func() ([]Entry, error) {
		return func() ([]Entry, error) { return Removed(ctx, b, "mydb", b.trust, prefix) }
	}
	first := must[Entry](t)(Load(ctx, b, "mydb", id1, b.trust)).Manifest
	second := must[Entry](t)(Load(ctx, b, "mydb", id2, b.trust)).Manifest
	b.requests(aboutVersions, dbtest.Fault{})
	find(after(second))
	if n := b.proxy.Done()["seen"]; n != 1 {
		t.Errorf("%d requests where all is well", n)
	}
	b.hide(Path("mydb", id2, manifestName), Path("mydb", id2, "0000.dbacked"))
	b.over(Path("mydb", "20270101T000000Z-00000f", manifestName), []byte("garbage"))
	b.hide(Path("mydb", "20270101T000000Z-00000f", manifestName)) // was never a good one
	find(after(first), id2)
	find(after(second))
	find(with(id2[:9]), id2)
	find(with(id1))
	find(with("control"))
	b.hide(Path("mydb", id1, manifestName))
	find(after(nil), id2, id1)
	find(with(""), id2, id1)
	late := *first
	late.Finished = time.Now().Add(time.Hour) // as if it had been made after the other one was stored
	find(after(&late))
	if _, err := Load(ctx, b, "mydb", id2, b.trust); !errors.Is(err, ErrNoBackup) {
		t.Errorf("%v", err)
	}
	if all, err := Removed(ctx, b, "mydb", nil, ""); err != nil || all != nil {
		t.Errorf("nobody is trusted: %v, %v", all, err)
	}
	s, _ := store(t)
	if all, err := Removed(ctx, s, "mydb", b.trust, ""); err != nil || all != nil {
		t.Errorf("a folder: %v, %v", all, err)
	}
	b.requests(aboutVersions, dbtest.Fault{Status: 501, Code: "NotImplemented"})
	find(after(first))
	b.requests(aboutVersions, dbtest.Fault{Status: 403, Code: "AccessDenied"})
	if _, err := RemovedAfter(ctx, b, "mydb", b.trust, first); err == nil || !strings.Contains(err.Error(), "s3:ListBucketVersions") {
		t.Errorf("%v", err)
	}
}

// TestForged tells what was never good from what was written over a good one, and
// from what nobody could look at.
func TestForged(t *testing.T) {
	b := newBucket(t, dbtest.S3(t), "forged", s3.Lock{Mode: s3.Compliance, For: time.Hour})
	const id = "20261201T000000Z-0bad00"
	b.over(Path("mydb", id, manifestName), forged(t, id))
	b.over(Path("mydb", id, manifestName), forged(t, id))
	e := must[[]Entry](t)(List(t.Context(), b, "mydb", b.trust))[0]
	if e.ID != id || !errors.Is(e.Proof, errNeverGood) || !errors.Is(e.Proof, ErrUntrusted) || e.Displaced != nil {
		t.Errorf("%+v", e)
	}
	if e := must[Entry](t)(Load(t.Context(), b, "mydb", id, nil)); errors.Is(e.Proof, errNeverGood) || e.Proof == nil {
		t.Errorf("nobody is trusted: %+v", e)
	}
	b.over(Path("mydb", id2, manifestName), []byte("garbage"))
	for right, match := range map[string]func(*http.Request) bool{
		"s3:ListBucketVersions": func(r *http.Request) bool { return r.URL.Query().Has("versions") },
		"s3:GetObjectVersion":   func(r *http.Request) bool { return r.URL.Query().Has("versionId") },
	} {
		b.requests(match, dbtest.Fault{Status: 403, Code: "AccessDenied"})
		for _, e := range must[[]Entry](t)(List(t.Context(), b, "mydb", b.trust)) {
			if e.ID == id1 {
				continue
			}
			if errors.Is(e.Proof, errNeverGood) || e.Displaced != nil || !errors.Is(e.Proof, ErrUnproved) || !strings.Contains(e.Proof.Error(), "older versions could not be looked at: ") || !strings.Contains(e.Proof.Error(), right) {
				t.Errorf("without %s: %+v", right, e)
			}
		}
	}
	b.requests(aboutVersions, dbtest.Fault{Status: 403, Code: "AccessDenied"})
	before := b.proxy.Done()["seen"]
	must[[]Entry](t)(List(t.Context(), b, "mydb", b.trust))
	if n := b.proxy.Done()["seen"] - before; n != 1 {
		t.Errorf("asked %d times for what is forbidden", n)
	}
}

// TestOldMadeNew: who writes an old manifest again does not make it the newest.
func TestOldMadeNew(t *testing.T) {
	b := newBucket(t, dbtest.S3(t), "renewed", s3.Lock{})
	const old = "20261001T000000Z-000001"
	m := manifest(old)
	m.Started = time.Now().UTC().Add(-3 * 24 * time.Hour).Truncate(time.Second)
	m.Finished = m.Started
	ok(t, b.Put(t.Context(), Path("mydb", old, "0000.dbacked"), []byte("one")))
	ok(t, b.Put(t.Context(), Path("mydb", old, "0001.dbacked"), []byte("four")))
	data := must[[]byte](t)(Encode(m, b.by))
	survey := func() []Dated {
		t.Helper()
		return must[[]Dated](t)(Survey(t.Context(), b, "mydb", b.trust))
	}
	ok(t, b.Put(t.Context(), Path("mydb", old, manifestName), data))
	first := survey()
	if first[2].ID != old || first[2].Displaced != nil {
		t.Errorf("a copy: %+v", first[2])
	}
	b.over(Path("mydb", old, manifestName), data)
	again := survey()[2]
	if again.Displaced == nil || again.Date.Sub(first[2].Date).Abs() > 5*time.Second {
		t.Errorf("written again: %+v, not of %s", again, first[2].Date)
	}
	if plan := Plan(time.Now(), survey(), Policy{KeepLast: 1}); len(plan.Removals()) != 0 || len(plan.Alerts) != 1 {
		t.Errorf("%+v", plan)
	}
}

// TestFilesOfTheRemovedStay: the agent itself does not take away the files of a
// backup whose manifest somebody hid, once they are old.
func TestFilesOfTheRemovedStay(t *testing.T) {
	b := newBucket(t, dbtest.S3(t), "buried", s3.Lock{})
	const dead = "20261003T000000Z-00dead"
	ok(t, b.Put(t.Context(), Path("mydb", dead, "0000.dbacked"), []byte("one")))
	b.hide(Path("mydb", id1, manifestName), Path("mydb", dead, manifestName)) // of the dead one there was none
	got := must[[]string](t)(Abandoned(t.Context(), b, "mydb", 0, []string{id1}))
	if diff := cmp.Diff([]string{dead}, got); diff != "" {
		t.Error(diff)
	}
	ok(t, Remove(t.Context(), b, "mydb", id1)) // by its name it goes
	if got := must[[]string](t)(Orphans(t.Context(), b, "mydb")); !cmp.Equal(got, []string{dead}) {
		t.Errorf("left: %q", got)
	}
}
