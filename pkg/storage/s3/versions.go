package s3

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// noVersion is the id of what was written while the bucket kept no versions.
const noVersion = "null"

// mostVersions is how many of the oldest versions of one object are looked at,
// besides the newest: whoever may write can make as many as he likes, but none
// that is older than the first.
const mostVersions = 1000

// Versions returns the states of an object that the bucket keeps and the marks
// of its removals, the newest first: all of them, or the newest and the 1000
// oldest.
func (s *Store) Versions(ctx context.Context, name string) ([]storage.ObjectVersion, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	all, err := s.versions(ctx, name, "", func(n string) bool { return n == name }, mostVersions)
	return all[name], err
}

// VersionsUnder is Versions for many objects. It lists 1000 versions a request,
// also of those that are not picked.
func (s *Store) VersionsUnder(ctx context.Context, prefix, after string, pick func(name string) bool) (map[string][]storage.ObjectVersion, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return s.versions(ctx, prefix, after, pick, mostVersions)
}

// versions lists versions by the names of their objects: of each the newest and
// the most oldest ones. After a failure it begins again: some services list the
// marks of removals apart, so that the place of a failure tells little.
func (s *Store) versions(ctx context.Context, prefix, after string, pick func(name string) bool, most int) (all map[string][]storage.ObjectVersion, err error) {
	o := minio.ListObjectsOptions{Prefix: s.key(prefix), WithVersions: true}
	if after != "" {
		o.StartAfter = s.key(after)
	}
	err = s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		all = map[string][]storage.ObjectVersion{}
		_, err := s.client.Try(ctx, "list the versions of", prefix, func(ctx context.Context) error {
			return s.each(ctx, o, func(o minio.ObjectInfo) bool {
				if name, ok := s.object(o.Key); ok && name > after && pick(name) { // some services send the object at the marker too
					all[name] = trim(append(all[name], version(name, o)), most, 2*most)
				}
				return true
			})
		})
		return err
	})
	for name, versions := range all {
		slices.SortStableFunc(versions, newestFirst)
		all[name] = trim(versions, most, most+1)
	}
	return all, err
}

func version(name string, o minio.ObjectInfo) storage.ObjectVersion {
	return storage.ObjectVersion{
		Name: name, ID: o.VersionID, Tag: o.ETag, Size: o.Size, Modified: o.LastModified, Latest: o.IsLatest, Removed: o.IsDeleteMarker,
	}
}

// trim shortens versions that are more than limit to the newest and the most
// last ones.
func trim(versions []storage.ObjectVersion, most, limit int) []storage.ObjectVersion {
	if len(versions) <= limit {
		return versions
	}
	last := len(versions) - most
	old := slices.DeleteFunc(versions[:last], func(v storage.ObjectVersion) bool { return !v.Latest })
	return append(old, versions[last:]...)
}

func newestFirst(a, b storage.ObjectVersion) int {
	switch {
	case a.Latest != b.Latest && a.Latest:
		return -1
	case a.Latest != b.Latest:
		return 1
	}
	return b.Modified.Compare(a.Modified)
}

// OpenVersion is Open for a state that Versions returned.
func (s *Store) OpenVersion(ctx context.Context, name, id string, offset int64) (io.ReadCloser, error) {
	return s.open(ctx, name, id, offset)
}

// removeVersions removes every state of an object, the oldest first: it is the
// one that object lock protects, where somebody wrote another over it.
func (s *Store) removeVersions(ctx context.Context, name string) error {
	all, err := s.versions(ctx, name, "", func(n string) bool { return n == name }, math.MaxInt/2)
	if err != nil {
		return err
	}
	versions := all[name]
	for _, v := range slices.Backward(versions) {
		if v.Removed {
			continue // as long as it is there, what is below stays hidden
		}
		if err := s.removeVersion(ctx, name, v.ID); err != nil {
			return err
		}
	}
	for _, v := range versions {
		if v.Removed {
			if err := s.remove(ctx, "remove a version of", name, v.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) removeVersion(ctx context.Context, name, id string) error {
	err := s.remove(ctx, "remove a version of", name, id)
	if err == nil || errors.Is(err, storage.ErrLocked) || bucket.Status(err) != 403 {
		return err
	}
	// Forbidden, but why? The object's own lock tells.
	var locked bool
	_, statErr := s.client.Retry(ctx, "read the lock of", name, func(ctx context.Context) error {
		info, err := s.core.StatObject(ctx, s.options.Bucket, s.key(name), minio.StatObjectOptions{VersionID: id})
		locked = strings.TrimSpace(info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date")) != ""
		return err
	})
	if statErr == nil && locked {
		return &Error{Doing: "remove a version of", Address: s.address(name), Status: bucket.Status(err), Code: bucket.Code(err), Err: storage.ErrLocked, Advice: "object lock protects it until its time is over"}
	}
	return err
}
