package s3

import (
	"context"
	"errors"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
)

// The calls below try what these credentials may do; storage.ErrForbidden says
// what they may not.

// Overwrite writes an object whatever is there: only for a probe.
func (s *Store) Overwrite(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	return s.client.Again(ctx, func(ctx context.Context) error {
		_, err := s.put(ctx, name, data, func(*minio.PutObjectOptions) {})
		return err
	})
}

// Readable says nil if an object could be read. It reads nothing of it.
func (s *Store) Readable(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	_, err := s.client.Retry(ctx, "read", name, func(ctx context.Context) error {
		_, err := s.core.StatObject(ctx, s.options.Bucket, s.key(name), minio.StatObjectOptions{})
		return err
	})
	return err
}

// Hide removes an object as whoever knows nothing of versions does: where the
// bucket keeps them, it becomes an old one.
func (s *Store) Hide(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	return s.remove(ctx, "remove", name, "")
}

// TryAbort says whether uploads under a folder (it ends in a slash) may be listed
// and aborted. It aborts one that does not exist.
func (s *Store) TryAbort(ctx context.Context, folder string) error {
	if err := check(ctx, folder+"none"); err != nil {
		return err
	}
	if err := s.abort(ctx, folder+"none", "none"); errors.Is(err, storage.ErrForbidden) {
		return err // what else a service says of such an id is its own affair
	}
	_, _, err := s.uploads(ctx, folder, func(string) bool { return true })
	return err
}

// TryUpload begins an upload as one of a backup's is, and aborts it: see first
// whether that may be done.
func (s *Store) TryUpload(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	w := &writer{store: s, name: name, starting: make(chan struct{}, 1), parts: make(map[int]part)}
	w.life, w.stopping = context.WithCancelCause(context.WithoutCancel(ctx))
	err := s.client.Again(ctx, w.start)
	return errors.Join(err, w.Abort(ctx))
}
