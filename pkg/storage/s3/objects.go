package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// smallObject bounds what Get reads into memory.
const smallObject = 1 << 20

// Put writes a small object by one conditional request. That the very same
// bytes are there already is no error.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	_, err := s.putNew(ctx, name, data, false)
	return err
}

// putNew writes an object if there is none of that name; strict writes none
// where the service cannot tell.
func (s *Store) putNew(ctx context.Context, name string, data []byte, strict bool) (v storage.Version, err error) {
	w := s.wantedData(name, data)
	err = s.client.Again(ctx, func(ctx context.Context) (err error) {
		conditional := !s.unconditional.Load()
		if !conditional {
			if strict {
				return s.noConditions(name)
			}
			if err := s.free(ctx, w); err != nil {
				return err
			}
		}
		v, err = s.put(ctx, name, data, func(o *minio.PutObjectOptions) {
			if conditional {
				o.SetMatchETagExcept("*")
			}
		})
		if conditional && s.refused(err) {
			if strict {
				return s.noConditions(name)
			}
			return &storage.TemporaryError{Err: err}
		}
		if err == nil || !bucket.Unclear(err) {
			return err
		}
		e, err := s.resolve(ctx, w, err)
		if err == nil {
			v = storage.Version{Tag: e.tag, Modified: e.modified, Now: e.modified}
		}
		return err
	})
	return v, err
}

// refused notices, by the answer to a request with a condition, a service that does
// not know them: they are left out from then on, and what is there is looked up
// before a write.
func (s *Store) refused(err error) bool {
	if !errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	s.unconditional.Store(true)
	return true
}

// free says ErrExists unless nothing is there, or what is wanted.
func (s *Store) free(ctx context.Context, w wanted) error {
	e, found, err := s.find(ctx, w.name)
	if err != nil || !found {
		return err
	}
	same, err := s.same(ctx, w, e)
	if err == nil && !same {
		return fmt.Errorf("write %s: %w", s.address(w.name), storage.ErrExists)
	}
	return err
}

// put writes an object once, under the condition that set sets.
func (s *Store) put(ctx context.Context, name string, data []byte, set func(*minio.PutObjectOptions)) (v storage.Version, err error) {
	sum := s.sums(data)
	o := s.newObject(name)
	set(&o)
	if sum.sha256 != "" {
		o.UserMetadata[checksumHeader] = sum.sha256
	}
	o.DisableContentSha256 = true // it is in sum.hex: no stream of signed pieces
	body := newBody(data)
	defer body.release()
	a, err := s.client.Try(ctx, "write", name, func(ctx context.Context) error {
		info, err := s.core.PutObject(ctx, s.options.Bucket, s.key(name), body, int64(len(data)), sum.md5, sum.hex, o)
		v.Tag = info.ETag
		return err
	})
	v.Now = a.Date()
	v.Modified = v.Now
	return v, err
}

// Remove removes an object. Where Options.Lock is set it removes all its
// versions, the oldest first, as only that frees the room: it says ErrLocked,
// and has changed nothing, where the first of them may not be removed yet.
// Elsewhere a bucket with versions keeps what was removed as an old version.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	if s.options.Lock.Mode != "" {
		return s.removeVersions(ctx, name)
	}
	return s.remove(ctx, "remove", name, "")
}

func (s *Store) remove(ctx context.Context, doing, name, version string) error {
	_, err := s.client.Retry(ctx, doing, name, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.options.Bucket, s.key(name), minio.RemoveObjectOptions{VersionID: version})
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// read reads a small object once.
func (s *Store) read(ctx context.Context, name string) (v storage.Version, data []byte, err error) {
	a, err := s.client.Try(ctx, "read", name, func(ctx context.Context) error {
		body, info, _, err := s.core.GetObject(ctx, s.options.Bucket, s.key(name), minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer body.Close()
		v.Tag, v.Modified = info.ETag, info.LastModified
		data, err = io.ReadAll(io.LimitReader(body, smallObject+1))
		if err == nil && info.Size >= 0 && int64(len(data)) < min(info.Size, smallObject+1) {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	if err == nil && len(data) > smallObject {
		return v, nil, fmt.Errorf("read %s: it has more than %d bytes, which is not what is expected there", s.address(name), smallObject)
	}
	v.Now = a.Date()
	return v, data, s.absent(ctx, name, err)
}
