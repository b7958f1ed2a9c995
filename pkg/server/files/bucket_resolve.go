package files

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// wanted is an object that was, or was to be, written.
type wanted struct {
	tag  string
	size int64  // -1 where it is not known
	data []byte // of a small one
}

// answered has the ETag that the service's answer gave, if there was one: with
// encryption it may be of another kind.
func (w wanted) answered(info minio.UploadInfo) wanted {
	if info.ETag != "" {
		w.tag = quoted(info.ETag)
	}
	return w
}

// resolve looks at what is there after a write whose answer was err.
func (b *Bucket) resolve(ctx context.Context, r Ref, w wanted, err error) (Stored, error) {
	var info minio.ObjectInfo
	_, statErr := b.client.Try(ctx, "look at", r.String(), func(ctx context.Context) (err error) {
		info, err = b.client.Core.StatObject(ctx, b.bucket, b.key(r), minio.StatObjectOptions{})
		return err
	})
	switch {
	case missing(statErr):
		return Stored{}, b.fromNothing(r, err)
	case statErr != nil:
		return Stored{}, statErr
	}
	s := Stored{Size: info.Size, ETag: quoted(info.ETag), Modified: info.LastModified.UTC()}
	same := s.ETag == w.tag && (w.size < 0 || s.Size == w.size)
	if !same && w.data != nil && s.Size == w.size { // encryption makes an ETag of another kind
		there, err := b.read(ctx, r, w.size)
		if err != nil {
			return Stored{}, err
		}
		same = bytes.Equal(there, w.data)
	}
	if !same {
		return Stored{}, b.conflict(r, s)
	}
	return s, nil
}

// fromNothing is what an unclear answer means where nothing is there.
func (b *Bucket) fromNothing(r Ref, err error) error {
	switch {
	case err == nil:
		return &storage.TemporaryError{Err: fmt.Errorf("%s: what was written is not there", b.client.Address(r.String()))}
	case badParts(err):
		return fmt.Errorf("complete %s: %w: the service says %s", b.client.Address(r.String()), ErrParts, bucket.Code(err))
	case bucket.Code(err) == minio.NoSuchUpload:
		return fmt.Errorf("complete %s: %w: the upload is gone: did a rule of the bucket remove it?", b.client.Address(r.String()), ErrNotFound)
	case bucket.Status(err) == http.StatusNotFound, bucket.Temporary(err):
		return err
	}
	return &storage.TemporaryError{Err: err}
}

// conflict says that another file is there.
func (b *Bucket) conflict(r Ref, s Stored) error {
	return fmt.Errorf("write %s: %w: it has %d bytes and the ETag %s", b.client.Address(r.String()), ErrConflict, s.Size, b.client.Clean(s.ETag))
}

// badParts tells a Complete that the service refused for its parts.
func badParts(err error) bool {
	switch bucket.Code(err) {
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML":
		return true
	}
	return false
}

func missing(err error) bool {
	switch bucket.Code(err) {
	case minio.NoSuchBucket:
		return false
	case minio.NoSuchKey, minio.NoSuchUpload:
		return true
	}
	return bucket.Status(err) == http.StatusNotFound
}
