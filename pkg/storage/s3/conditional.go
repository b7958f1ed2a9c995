package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// Get reads a small object, of at most 1 MiB.
func (s *Store) Get(ctx context.Context, name string) (data []byte, v storage.Version, err error) {
	if err := check(ctx, name); err != nil {
		return nil, v, err
	}
	err = s.client.Again(ctx, func(ctx context.Context) (err error) {
		v, data, err = s.read(ctx, name)
		return err
	})
	return data, v, err
}

// PutNew writes a small object if there is none of that name. It says
// errors.ErrUnsupported, and writes nothing, where the service has no conditional
// writes.
func (s *Store) PutNew(ctx context.Context, name string, data []byte) (storage.Version, error) {
	if err := check(ctx, name); err != nil {
		return storage.Version{}, err
	}
	return s.putNew(ctx, name, data, true)
}

// Replace writes a small object over one whose ETag is still tag.
func (s *Store) Replace(ctx context.Context, name string, data []byte, tag string) (v storage.Version, err error) {
	if err := check(ctx, name); err != nil {
		return v, err
	}
	if tag == "" {
		return v, fmt.Errorf("replace %s: the tag of what is there is missing", s.address(name))
	}
	err = s.client.Again(ctx, func(ctx context.Context) (err error) {
		v, err = s.put(ctx, name, data, func(o *minio.PutObjectOptions) { o.SetMatchETag(tag) })
		if errors.Is(err, errors.ErrUnsupported) {
			return s.noConditions(name)
		}
		if err == nil || !bucket.Unclear(err) {
			return err
		}
		v, err = s.replaced(ctx, name, data, tag, err)
		return err
	})
	return v, err
}

// replaced says what became of a replacement whose answer, err, says nothing by
// itself.
func (s *Store) replaced(ctx context.Context, name string, data []byte, tag string, err error) (storage.Version, error) {
	v, there, readErr := s.read(ctx, name)
	switch {
	case errors.Is(readErr, storage.ErrNotFound):
		return v, fmt.Errorf("replace %s: %w: it is gone", s.address(name), storage.ErrChanged)
	case readErr != nil && bucket.Temporary(readErr):
		return v, readErr
	case readErr != nil:
		return v, fmt.Errorf("%w (and what is there now cannot be told: %v)", err, readErr)
	case bytes.Equal(there, data):
		return v, nil
	case v.Tag != tag:
		return v, fmt.Errorf("replace %s: %w: another was written over it", s.address(name), storage.ErrChanged)
	case bucket.Temporary(err):
		return v, err
	}
	return v, &storage.TemporaryError{Err: err}
}

func (s *Store) noConditions(name string) error {
	return fmt.Errorf("write %s: the service has no conditional writes, so no lease is safe there (%w): set DBACKED_LOCK=database", s.address(name), errors.ErrUnsupported)
}
