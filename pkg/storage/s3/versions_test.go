package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

func isVersions(r *http.Request) bool { return r.URL.Query().Has("versions") }

// hide removes an object as anybody with the right to can: with a mark.
func (b *bed) hide(name string) {
	b.t.Helper()
	if err := b.server.Client(b.t).RemoveObject(context.Background(), b.options.Bucket, b.key(name), minio.RemoveObjectOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// TestManyVersions: whoever writes very many versions over an object hides
// neither the first one nor the newest.
func TestManyVersions(t *testing.T) {
	b := lockedBed(t, Lock{Compliance, time.Hour})
	ctx := t.Context()
	const more = 2100 // three pages
	if err := b.Put(ctx, "db/1/manifest", []byte("good")); err != nil {
		t.Fatal(err)
	}
	client := b.server.Client(t)
	for i := range more {
		data := fmt.Sprintf("forged %d", i)
		if _, err := client.PutObject(ctx, b.options.Bucket, b.key("db/1/manifest"), strings.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(ctx, "db/2/manifest", []byte("other")); err != nil {
		t.Fatal(err)
	}
	pages := 0
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if isVersions(r) {
			if pages++; pages == 2 {
				return dbtest.Fault{Name: "cut", CutAnswer: true}
			}
		}
		return dbtest.Fault{}
	})
	versions, err := b.Versions(ctx, "db/1/manifest")
	if err != nil {
		t.Fatal(err)
	}
	if b.proxy.Done()["cut"] != 1 || pages != 2+3 {
		t.Errorf("%d requests, %v", pages, b.proxy.Done())
	}
	newest, oldest := versions[0], versions[len(versions)-1]
	if len(versions) != 1+mostVersions || !newest.Latest || newest.Size != int64(len("forged 2099")) || oldest.Size != 4 || oldest.Latest {
		t.Errorf("%d versions from %+v to %+v", len(versions), newest, oldest)
	}
	seen := map[string]bool{}
	for _, v := range versions {
		seen[v.ID] = true
	}
	if len(seen) != len(versions) {
		t.Errorf("%d of %d are different", len(seen), len(versions))
	}
	under, err := b.VersionsUnder(ctx, "db/", "", func(name string) bool { return strings.HasSuffix(name, "/manifest") })
	if err != nil || len(under) != 2 || len(under["db/1/manifest"]) != 1+mostVersions || len(under["db/2/manifest"]) != 1 {
		t.Errorf("%d objects, %v", len(under), err)
	}
	under, err = b.VersionsUnder(ctx, "db/", "db/1/manifest", func(string) bool { return true })
	if err != nil || len(under) != 1 || len(under["db/2/manifest"]) != 1 {
		t.Errorf("after the first: %d objects, %v", len(under), err)
	}
}

// TestMarksAmongMany: of an object with a mark that is newest, the mark and the
// oldest are kept.
func TestMarksAmongMany(t *testing.T) {
	var all []storage.ObjectVersion
	for i := range 50 {
		all = append(all, storage.ObjectVersion{ID: fmt.Sprint(i), Modified: time.Unix(int64(1000-i), 0)})
	}
	all = append(all, storage.ObjectVersion{ID: "mark", Modified: time.Unix(2000, 0), Latest: true, Removed: true}) // listed apart
	all = append(all, storage.ObjectVersion{ID: "first"})
	if all = trim(all, 10, 20); len(all) != 10 {
		t.Fatalf("%d are left", len(all))
	}
	all = trim(append(all, make([]storage.ObjectVersion, 15)...), 10, 20)
	if all[0].ID != "mark" || len(all) != 11 {
		t.Errorf("%+v", all)
	}
}

// TestVersionThatBreaks cuts the reading of an older version at 90 %, while
// others are written over the object and it is removed: it goes on in the same.
func TestVersionThatBreaks(t *testing.T) {
	b := lockedBed(t, Lock{Compliance, time.Hour})
	data := pattern(1 << 20)
	if err := b.Put(t.Context(), "db/o", data); err != nil {
		t.Fatal(err)
	}
	b.forge("db/o", string(bytes.ToUpper(data)))
	versions, err := b.Versions(t.Context(), "db/o")
	if err != nil || len(versions) != 2 {
		t.Fatalf("%v, %v", versions, err)
	}
	last, cuts := 0, 0 // where it was asked to go on
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if !isGet(r) {
			return dbtest.Fault{}
		}
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &last)
		cuts++
		return dbtest.Fault{CutAnswer: last < len(data)*9/10}
	})
	r, err := b.OpenVersion(t.Context(), "db/o", versions[1].ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(data)*8/10)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	b.forge("db/o", strings.Repeat("x", len(data)))
	b.hide("db/o")
	rest, err := io.ReadAll(r)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if last < len(data)*9/10 {
		t.Errorf("cut %d times, at last at %d", cuts-1, last)
	}
	if s := r.(storage.Stated).State(); s.ID != versions[1].ID || s.Tag != versions[1].Tag || s.Size != int64(len(data)) {
		t.Errorf("it reads %+v, not %+v", s, versions[1])
	}
}

// TestNoRightToVersions names the right that is missing.
func TestNoRightToVersions(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "rights", nil)
	if err := b.Put(t.Context(), "db/o", []byte("data")); err != nil {
		t.Fatal(err)
	}
	versions, err := b.Versions(t.Context(), "db/o")
	if err != nil || len(versions) != 1 || !versions[0].Latest {
		t.Errorf("without versions: %+v, %v", versions, err)
	}
	b.times(-1, isVersions, dbtest.Fault{Status: 403, Code: "AccessDenied"})
	_, err = b.Versions(t.Context(), "db/o")
	mustHave(t, err, "list the versions of s3://rights/", "403", "s3:ListBucketVersions")
	b.times(-1, isGet, dbtest.Fault{Status: 403, Code: "AccessDenied"})
	_, err = b.OpenVersion(t.Context(), "db/o", "null", 0)
	mustHave(t, err, "read a version of", "s3:GetObjectVersion")
}
