package s3

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

func lockedBed(t *testing.T, how Lock) *bed {
	t.Helper()
	server := dbtest.S3(t)
	server.Bucket(t, "locked", true)
	return newBedIn(t, server, "locked", func(o *Options) { o.Lock = how })
}

// forge overwrites an object as root of the agent's machine could.
func (b *bed) forge(name string, data string) {
	b.t.Helper()
	_, err := b.server.Client(b.t).PutObject(context.Background(), b.options.Bucket, b.key(name), strings.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestObjectLock(t *testing.T) {
	b := lockedBed(t, Lock{Compliance, time.Hour})
	ctx := t.Context()
	large := pattern(smallestPart + 1)
	if err := errors.Join(b.upload("db/1/0000", large), b.Put(ctx, "db/1/manifest", []byte("good")), b.Put(ctx, "db/control/probe", []byte("p"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db/1/0000", "db/1/manifest"} {
		if err := b.Remove(ctx, name); !errors.Is(err, storage.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.holds("db/1/0000", large)
	b.holds("db/1/manifest", []byte("good"))
	if err := b.Remove(ctx, "db/control/probe"); err != nil {
		t.Error(err)
	}
	b.holds("db/control/probe", nil)
	if err := b.Remove(ctx, "db/none"); err != nil {
		t.Error(err)
	}
}

// TestLockThatIsOver removes an object, all of its versions, once its time is
// over.
func TestLockThatIsOver(t *testing.T) {
	b := lockedBed(t, Lock{Governance, 2 * time.Second})
	ctx := t.Context()
	if err := b.Put(ctx, "db/1/manifest", []byte("good")); err != nil {
		t.Fatal(err)
	}
	b.forge("db/1/manifest", "forged")
	for err := storage.ErrLocked; err != nil; {
		if err = b.Remove(ctx, "db/1/manifest"); err != nil && !errors.Is(err, storage.ErrLocked) {
			t.Fatal(err)
		}
		if err != nil {
			b.holds("db/1/manifest", []byte("forged")) // nothing was touched
			<-time.After(100 * time.Millisecond)
		}
	}
	if versions, err := b.Versions(ctx, "db/1/manifest"); err != nil || len(versions) != 0 {
		t.Errorf("left: %+v, %v", versions, err)
	}
}

// TestVersions finds what was there before it was overwritten or removed.
func TestVersions(t *testing.T) {
	b := lockedBed(t, Lock{Compliance, time.Hour})
	ctx := t.Context()
	if err := errors.Join(b.Put(ctx, "db/1/manifest", []byte("good")), b.Put(ctx, "db/1/manifest2", []byte("other"))); err != nil {
		t.Fatal(err)
	}
	b.forge("db/1/manifest", "forged")
	if err := b.server.Client(t).RemoveObject(ctx, "locked", b.key("db/1/manifest"), minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	b.holds("db/1/manifest", nil)
	versions, err := b.Versions(ctx, "db/1/manifest")
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) != 3 || !versions[0].Removed || !versions[0].Latest || versions[0].Modified.IsZero() {
		t.Fatalf("%+v", versions)
	}
	var texts []string
	for _, v := range versions[1:] {
		r, err := b.OpenVersion(ctx, "db/1/manifest", v.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || v.Size != int64(len(text)+1) || v.Modified.IsZero() || v.Latest || v.Removed {
			t.Errorf("%+v: %v", v, err)
		}
		texts = append(texts, string(text))
	}
	if diff := cmp.Diff([]string{"orged", "ood"}, texts); diff != "" {
		t.Error(diff)
	}
	if _, err := b.OpenVersion(ctx, "db/1/manifest", "01KAS000000000000000000000", 0); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("no such version: %v", err)
	}
	if versions, err := b.Versions(ctx, "db/none"); err != nil || len(versions) != 0 {
		t.Errorf("%v, %v", versions, err)
	}
}
