package s3

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
)

// noVersion is the id of what was written while the bucket kept no versions.
const noVersion = "null"

// Versions returns every state of an object that the bucket keeps, the newest
// first, without the marks that removals leave.
func (s *Store) Versions(ctx context.Context, name string) ([]storage.ObjectVersion, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	all, err := s.versions(ctx, name)
	var versions []storage.ObjectVersion
	for _, v := range all {
		if !v.IsDeleteMarker {
			versions = append(versions, storage.ObjectVersion{
				ID: v.VersionID, Tag: v.ETag, Size: v.Size, Modified: v.LastModified, Latest: v.IsLatest,
			})
		}
	}
	return versions, err
}

// versions are all states of an object, the newest first, and the marks of its
// removals.
func (s *Store) versions(ctx context.Context, name string) (versions []minio.ObjectInfo, err error) {
	key := s.key(name)
	_, err = s.retry(ctx, "list the versions of", name, func(ctx context.Context) error {
		versions = versions[:0]
		return s.each(ctx, minio.ListObjectsOptions{Prefix: key, WithVersions: true}, func(o minio.ObjectInfo) bool {
			if o.Key == key {
				versions = append(versions, o)
			}
			return o.Key == key // others that begin with it come after
		})
	})
	slices.SortStableFunc(versions, func(a, b minio.ObjectInfo) int {
		switch {
		case a.IsLatest != b.IsLatest && a.IsLatest:
			return -1
		case a.IsLatest != b.IsLatest:
			return 1
		}
		return b.LastModified.Compare(a.LastModified)
	})
	return versions, err
}

// OpenVersion is Open for a state that Versions returned.
func (s *Store) OpenVersion(ctx context.Context, name, id string, offset int64) (io.ReadCloser, error) {
	return s.open(ctx, name, id, offset)
}

// removeVersions removes every state of an object, the oldest first: it is the
// one that object lock protects, where somebody wrote another over it.
func (s *Store) removeVersions(ctx context.Context, name string) error {
	versions, err := s.versions(ctx, name)
	if err != nil {
		return err
	}
	for _, v := range slices.Backward(versions) {
		if v.IsDeleteMarker {
			continue // as long as it is there, what is below stays hidden
		}
		if err := s.removeVersion(ctx, name, v); err != nil {
			return err
		}
	}
	for _, v := range versions {
		if v.IsDeleteMarker {
			if err := s.remove(ctx, "remove a version of", name, v.VersionID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) removeVersion(ctx context.Context, name string, v minio.ObjectInfo) error {
	err := s.remove(ctx, "remove a version of", name, v.VersionID)
	if err == nil || errors.Is(err, storage.ErrLocked) || status(err) != 403 {
		return err
	}
	// Forbidden, but why? The object's own lock tells.
	var locked bool
	_, statErr := s.retry(ctx, "read the lock of", name, func(ctx context.Context) error {
		info, err := s.core.StatObject(ctx, s.options.Bucket, s.key(name), minio.StatObjectOptions{VersionID: v.VersionID})
		locked = strings.TrimSpace(info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date")) != ""
		return err
	})
	if statErr == nil && locked {
		return &Error{Doing: "remove a version of", Address: s.address(name), Status: status(err), Code: code(err), Err: storage.ErrLocked, Advice: "object lock protects it until its time is over"}
	}
	return err
}
