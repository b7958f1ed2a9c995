package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
)

// List asks for pages of 1000 objects. After a failure it goes on behind the
// last one that it saw.
func (s *Store) List(ctx context.Context, prefix string) ([]storage.Object, error) {
	var objects []storage.Object
	last := ""
	err := s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
		_, err := s.client.Try(ctx, "list", prefix, func(ctx context.Context) error {
			return s.each(ctx, minio.ListObjectsOptions{Prefix: s.key(prefix), StartAfter: last}, func(o minio.ObjectInfo) bool {
				last = o.Key
				if name, ok := s.object(o.Key); ok {
					objects = append(objects, storage.Object{Name: name, Size: o.Size, Modified: o.LastModified})
				}
				return true
			})
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(objects, func(a, b storage.Object) int { return strings.Compare(a.Name, b.Name) })
	return objects, nil
}

// object is the name that belongs to a key, if one of ours can have it: other
// programs' marks of folders ("db/") are none.
func (s *Store) object(key string) (name string, ok bool) {
	if !strings.HasPrefix(key, s.key("")) {
		return "", false
	}
	name = s.name(key)
	return name, storage.CheckName(name) == nil
}

// each lists keys until use returns false.
func (s *Store) each(ctx context.Context, o minio.ListObjectsOptions, use func(minio.ObjectInfo) bool) error {
	o.Recursive = true
	o.FetchOwner = new(bool)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	last := o.StartAfter
	for object := range s.core.ListObjectsIter(ctx, s.options.Bucket, o) {
		if object.Err != nil {
			return object.Err
		}
		if object.Key < last && !o.WithVersions {
			return fmt.Errorf("the service's list goes back from %q to %q", last, object.Key)
		}
		last = object.Key
		if !use(object) {
			return nil
		}
	}
	return ctx.Err() // without an error of its own the iterator just ends
}

// entry is what a listing says of one object. That needs no right to read it.
type entry struct {
	size     int64
	tag      string
	modified time.Time
}

func (e entry) object(name string) storage.Object {
	return storage.Object{Name: name, Size: e.size, Modified: e.modified}
}

// absent says whether an object is missing after an answer, err, that does not
// say so: to whoever may not list all of the bucket, Amazon S3 forbids to read
// what is not there.
func (s *Store) absent(ctx context.Context, name string, err error) error {
	if !errors.Is(err, storage.ErrForbidden) {
		return err
	}
	if _, found, findErr := s.find(ctx, name); found || findErr != nil {
		return err
	}
	return &Error{Doing: "read", Address: s.address(name), Err: storage.ErrNotFound}
}

// find looks an object up; found is false where there is none.
func (s *Store) find(ctx context.Context, name string) (e entry, found bool, err error) {
	key := s.key(name)
	_, err = s.client.Try(ctx, "list", name, func(ctx context.Context) error {
		return s.each(ctx, minio.ListObjectsOptions{Prefix: key, MaxKeys: 1}, func(o minio.ObjectInfo) bool {
			if o.Key == key {
				e, found = entry{o.Size, o.ETag, o.LastModified}, true
			}
			return false // the key itself comes before those that begin with it
		})
	})
	return e, found, err
}
