package s3

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

// TestOtherETags loses answers of a service whose ETags are no MD5, as with
// encryption: checksums, or the bytes themselves, tell what is there.
func TestOtherETags(t *testing.T) {
	server := dbtest.S3(t, "--data-integrity-etag")
	for _, checksum := range []string{SHA256, MD5} {
		t.Run(checksum, func(t *testing.T) {
			b := newBed(t, server, "etags-"+checksum, func(o *Options) { o.Checksum = checksum })
			data := pattern(smallestPart + 1)
			for _, name := range []string{"db/plain", "db/lost"} {
				if err := errors.Join(b.upload(name, data), b.Put(t.Context(), name+".small", data[:10])); err != nil && checksum == SHA256 {
					t.Errorf("%s: %v", name, err)
				} else if err != nil && !errors.Is(err, storage.ErrExists) {
					t.Errorf("%s: %v", name, err) // it cannot be told, so it is no success
				}
				b.proxy.SetPlan(lose(2))
			}
			if err := b.upload("db/plain", data[1:]); !errors.Is(err, storage.ErrExists) {
				t.Errorf("over another: %v", err)
			}
			b.clean("")
		})
	}
}

// TestOtherETagsUnread loses answers of such a service to a host that may only
// write: it cannot tell what is there, and claims neither success nor that it is
// another's.
func TestOtherETagsUnread(t *testing.T) {
	b := newBed(t, dbtest.S3(t, "--data-integrity-etag"), "unread", nil)
	policy := b.writeOnly()
	b.proxy.SetPlan(policy.Enforce(never))
	for _, data := range [][]byte{pattern(smallestPart + 1), pattern(10)} {
		name := fmt.Sprintf("db/1/%d", len(data))
		if err := b.upload(name, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b.proxy.SetPlan(policy.Enforce(lose(1)))
		err := b.upload(name+".lost", data)
		mustHave(t, err, "cannot be told without reading", "s3:GetObject")
		if !errors.Is(err, storage.ErrForbidden) || errors.Is(err, storage.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		b.proxy.SetPlan(policy.Enforce(never))
	}
	b.proxy.SetPlan(policy.Enforce(lose(1)))
	if err := b.Put(t.Context(), "db/1/manifest", []byte("m")); err != nil { // it may read this one
		t.Error(err)
	}
}
