package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// wanted is an object that was, or was to be, written.
type wanted struct {
	name string
	size int64
	tag  string // the ETag that most services give it; "" if unknown
	sum  string // SHA-256 by the service's reckoning, in base64; "" if unknown
	data []byte // of a small one
}

func (s *Store) wantedData(name string, data []byte) wanted {
	return wanted{name: name, size: int64(len(data)), tag: md5Hex(data), sum: s.sums(data).sha256, data: data}
}

// resolve says what became of an object after an answer, err, that says nothing
// by itself. It returns what is there if that is the wanted one, ErrExists if it
// is another, and a temporary error if there is none.
func (s *Store) resolve(ctx context.Context, w wanted, err error) (entry, error) {
	e, found, findErr := s.find(ctx, w.name)
	switch {
	case findErr != nil && bucket.Temporary(findErr):
		return e, findErr
	case findErr != nil:
		return e, fmt.Errorf("%w (and what is there now cannot be told: %v)", err, findErr)
	case !found && bucket.Temporary(err):
		return e, err
	case !found:
		return e, &storage.TemporaryError{Err: err}
	}
	same, sameErr := s.same(ctx, w, e)
	if sameErr != nil {
		return e, sameErr
	}
	if !same {
		return e, fmt.Errorf("write %s: %w: %d bytes of %s are there, which are not what was to be written", s.address(w.name), storage.ErrExists, e.size, e.modified.UTC().Format("2006-01-02 15:04:05"))
	}
	return e, nil
}

// same compares what is there with what was wanted: size and ETag, and where
// the ETag is of another kind (encryption makes it so), checksum or bytes.
func (s *Store) same(ctx context.Context, w wanted, e entry) (bool, error) {
	if e.size != w.size {
		return false, nil
	}
	if w.tag != "" && e.tag == w.tag {
		return true, nil
	}
	if w.sum != "" {
		sum, err := s.storedSum(ctx, w.name)
		switch {
		case err == nil && sum != "":
			return sameSum(sum, w.sum), nil
		case bucket.Temporary(err), errors.Is(err, storage.ErrForbidden) && w.data == nil:
			return false, s.untold(w, err)
		}
	}
	if w.data == nil {
		return false, nil
	}
	_, data, err := s.read(ctx, w.name)
	if bucket.Temporary(err) || errors.Is(err, storage.ErrForbidden) {
		return false, s.untold(w, err)
	}
	return err == nil && bytes.Equal(data, w.data), nil
}

// untold says that what is there, of the right size, may be what was written: its
// ETag does not tell, and no more can be seen of it.
func (s *Store) untold(w wanted, err error) error {
	if bucket.Temporary(err) {
		return err
	}
	return fmt.Errorf("write %s: %d bytes are there, and whether they are what was sent cannot be told without reading: %w", s.address(w.name), w.size, err)
}

// storedSum is the checksum that the service keeps, "" if it keeps none.
func (s *Store) storedSum(ctx context.Context, name string) (sum string, err error) {
	_, err = s.client.Try(ctx, "read the checksum of", name, func(ctx context.Context) error {
		info, err := s.core.StatObject(ctx, s.options.Bucket, s.key(name), minio.StatObjectOptions{Checksum: true})
		sum = info.ChecksumSHA256
		return err
	})
	return sum, err
}

// sameSum compares checksums of objects; some services leave the number of
// parts out.
func sameSum(a, b string) bool {
	a, aParts, aOK := strings.Cut(a, "-")
	b, bParts, bOK := strings.Cut(b, "-")
	return a == b && (!aOK || !bOK || aParts == bParts)
}
