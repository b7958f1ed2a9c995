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
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// abortLimit bounds an Abort whose context has ended before.
const abortLimit = 30 * time.Second

// Abort stops the calls that go on, and removes the parts. Where a Commit ended
// without a clear answer, it removes the object too, if it is there.
func (w *writer) Abort(ctx context.Context) error {
	committed := w.end(errAborted)
	w.stopping(errAborted)
	w.writing.Wait() // from here on nobody else uses w
	if committed {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
		defer cancel()
	}
	if err := w.takeBack(ctx); err != nil {
		return err
	}
	return w.removeUploads(ctx, false)
}

// takeBack removes the object if a Commit that failed made it.
func (w *writer) takeBack(ctx context.Context) error {
	if !w.maybe {
		return nil
	}
	want := w.store.wantedData(w.name, w.small)
	if parts, size, err := w.whole(); err == nil && len(parts) > 0 {
		want = wanted{name: w.name, size: size, tag: joinedTag(parts), sum: joinedSum(parts)}
	}
	err := w.store.client.Again(ctx, func(ctx context.Context) error {
		e, found, err := w.store.find(ctx, w.name)
		if err != nil || !found {
			return err
		}
		same, err := w.store.same(ctx, want, e)
		if err != nil || !same {
			return err
		}
		return w.store.Remove(ctx, w.name)
	})
	if err == nil {
		w.maybe = false
	}
	return err
}

// removeUploads removes this writer's upload, unless it was completed, and
// those whose ids were lost. A part that the service took late can bring an
// upload back, so where a call broke off it looks again.
func (w *writer) removeUploads(ctx context.Context, completed bool) error {
	id := w.id()
	if id != "" && !completed {
		if err := w.store.abort(ctx, w.name, id); err != nil {
			return err
		}
	}
	if !w.strays && (completed || !w.broken) {
		return nil
	}
	uploads, _, err := w.store.uploads(ctx, w.name, func(name string) bool { return name == w.name })
	if err != nil {
		return err
	}
	for _, u := range uploads {
		if !w.strays && u.UploadID != id {
			continue
		}
		if err := w.store.abort(ctx, w.name, u.UploadID); err != nil {
			return err
		}
	}
	w.strays, w.broken = false, false
	return nil
}

// mostLeft bounds how many reasons are kept for Left.
const mostLeft = 20

func (s *Store) leave(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) < mostLeft {
		s.left = append(s.left, err)
	}
}

// Left returns why uploads beside objects that were stored since the last call are
// open: they cannot be seen, and are paid for, until RemoveAbandoned finds them.
func (s *Store) Left() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.left
	s.left = nil
	return left
}

// abort removes an upload with all its parts. That it is gone is no error.
func (s *Store) abort(ctx context.Context, name, id string) error {
	_, err := s.client.Retry(ctx, "abort the upload of", name, func(ctx context.Context) error {
		return s.core.AbortMultipartUpload(ctx, s.options.Bucket, s.key(name), id)
	})
	if bucket.Code(err) == "NoSuchUpload" || errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// uploads lists the open uploads of names that begin with prefix and that pick
// picks. now is the service's clock, zero if it does not say.
func (s *Store) uploads(ctx context.Context, prefix string, pick func(name string) bool) (uploads []minio.ObjectMultipartInfo, now time.Time, err error) {
	key, id := "", ""
	for {
		var page minio.ListMultipartUploadsResult
		a, err := s.client.Retry(ctx, "list the uploads of", prefix, func(ctx context.Context) (err error) {
			page, err = s.core.ListMultipartUploads(ctx, s.options.Bucket, s.key(prefix), key, id, "", 1000)
			return err
		})
		if err != nil {
			return nil, now, err
		}
		now = a.Date()
		for _, u := range page.Uploads {
			if name, ok := s.object(u.Key); ok && strings.HasPrefix(name, prefix) && pick(name) {
				uploads = append(uploads, u)
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == id {
			return uploads, now, nil
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// RemoveUnfinished removes the uploads under prefix that were begun longer than
// Options.OrphanAge ago: a live one, of another machine, can be hours old.
func (s *Store) RemoveUnfinished(ctx context.Context, prefix string) ([]string, error) {
	return s.RemoveAbandoned(ctx, prefix, s.options.OrphanAge)
}

// RemoveAbandoned removes the uploads under prefix, which ends in a slash, that
// were begun more than age ago by the service's clock. What may not be removed
// is left, and the others are removed all the same.
func (s *Store) RemoveAbandoned(ctx context.Context, prefix string, age time.Duration) ([]string, error) {
	if !strings.HasSuffix(prefix, "/") {
		return nil, fmt.Errorf("remove what is unfinished under %s: the prefix must end in a slash, or other instances' objects would be under it", s.address(prefix))
	}
	uploads, now, err := s.uploads(ctx, prefix, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	if age > 0 && now.IsZero() {
		return nil, fmt.Errorf("remove what is unfinished under %s: the service does not say what time it is, so ages cannot be told", s.address(prefix))
	}
	var names []string
	var errs []error
	for _, u := range uploads {
		if age > 0 && now.Sub(u.Initiated) <= age {
			continue
		}
		if err := s.abort(ctx, s.name(u.Key), u.UploadID); err != nil {
			errs = append(errs, err)
			continue
		}
		names = append(names, s.name(u.Key))
	}
	slices.Sort(names)
	return slices.Compact(names), errors.Join(errs...)
}
