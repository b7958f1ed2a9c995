package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// errNotStored says that what the service holds is not what was sent.
var errNotStored = errors.New("the service does not hold what was sent")

// Commit makes the object visible, unless another is there, and compares what
// the service says of it, in its answer and in a listing, with what was sent.
func (w *writer) Commit(ctx context.Context) (storage.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	if err := w.enter(); err != nil {
		return storage.Object{}, fmt.Errorf("write %s: %w", w.store.address(w.name), err)
	}
	defer w.writing.Done()
	ctx, cancel := w.bind(ctx)
	defer cancel()
	stored, err := w.commit(ctx)
	if errors.Is(err, storage.ErrExists) {
		w.mayExist(false) // it does, but is not ours
	}
	if err != nil {
		return storage.Object{}, err
	}
	w.end(errCommitted)
	// A large first part that was written again as a small one left an upload,
	// and so does a lost answer. The object is there all the same.
	if err := w.removeUploads(ctx, len(w.parts) > 0); err != nil {
		w.store.leave(fmt.Errorf("%s is stored, and an upload beside it is open yet: %w", w.store.address(w.name), err))
	}
	return stored.object(w.name), nil
}

// end takes no more calls, and says whether the object is committed.
func (w *writer) end(why error) (committed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.ended = why
	}
	return w.ended == errCommitted
}

func (w *writer) commit(ctx context.Context) (entry, error) {
	parts, size, err := w.whole()
	switch {
	case err != nil && w.small == nil:
		return entry{}, err
	case w.small != nil && len(w.parts) > 0:
		return entry{}, fmt.Errorf("write %s: its first part has %d bytes: all but the last need %d", w.store.address(w.name), len(w.small), smallestPart)
	}
	w.mayExist(true)
	if len(parts) == 0 {
		v, err := w.store.putNew(ctx, w.name, w.small, false)
		if err != nil {
			return entry{}, err
		}
		return w.verify(ctx, int64(len(w.small)), v.Tag)
	}
	tag, err := w.complete(ctx, parts, size)
	if err != nil {
		return entry{}, err
	}
	return w.verify(ctx, size, tag)
}

// mayExist notes whether a Commit that fails may have made the object.
func (w *writer) mayExist(maybe bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maybe = maybe
}

// complete joins the parts, and returns the object's ETag.
func (w *writer) complete(ctx context.Context, parts []part, size int64) (tag string, err error) {
	want := wanted{name: w.name, size: size, tag: joinedTag(parts), sum: joinedSum(parts)}
	err = w.store.client.Again(ctx, func(ctx context.Context) error {
		conditional := !w.store.unconditional.Load()
		if !conditional {
			if err := w.store.free(ctx, want); err != nil {
				return err
			}
		}
		info, err := w.completeOnce(ctx, parts, conditional)
		switch {
		case err == nil && want.sum != "" && info.ChecksumSHA256 != "" && !sameSum(info.ChecksumSHA256, want.sum):
			return w.notStored(ctx, "its checksum is %s instead of %s", w.store.client.Clean(info.ChecksumSHA256), want.sum)
		case err == nil:
			tag = info.ETag
			return nil
		case conditional && w.store.refused(err):
			return &storage.TemporaryError{Err: err}
		case !bucket.Unclear(err):
			return err
		}
		e, err := w.store.resolve(ctx, want, err)
		tag = e.tag
		return err
	})
	return tag, err
}

func (w *writer) completeOnce(ctx context.Context, parts []part, conditional bool) (info minio.UploadInfo, err error) {
	var o minio.PutObjectOptions
	if conditional {
		o.SetMatchETagExcept("*")
	}
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: p.number, ETag: p.tag, ChecksumSHA256: p.sum}
	}
	_, err = w.store.client.Try(ctx, "complete the upload of", w.name, func(ctx context.Context) (err error) {
		info, err = w.store.core.CompleteMultipartUpload(ctx, w.store.options.Bucket, w.store.key(w.name), w.id(), list, o)
		return err
	})
	return info, err
}

// verify compares what a listing says with what was sent and what the answer
// said.
func (w *writer) verify(ctx context.Context, size int64, tag string) (e entry, err error) {
	err = w.store.client.Again(ctx, func(ctx context.Context) error {
		found := false
		e, found, err = w.store.find(ctx, w.name)
		if err == nil && !found {
			err = &storage.TemporaryError{Err: fmt.Errorf("write %s: %w: it is not listed", w.store.address(w.name), errNotStored)}
		}
		return err
	})
	switch {
	case err != nil:
		return e, err
	case e.size != size:
		return e, w.notStored(ctx, "%d bytes instead of %d", e.size, size)
	case tag != "" && e.tag != "" && e.tag != tag:
		return e, w.notStored(ctx, "its ETag is %s instead of %s", w.store.client.Clean(e.tag), w.store.client.Clean(tag))
	}
	return e, nil
}

// notStored removes an object that we wrote and that is not what was sent.
func (w *writer) notStored(ctx context.Context, format string, args ...any) error {
	err := fmt.Errorf("write %s: %w: %s", w.store.address(w.name), errNotStored, fmt.Sprintf(format, args...))
	if removeErr := w.store.Remove(ctx, w.name); removeErr != nil {
		return fmt.Errorf("%w (and it could not be removed: %v)", err, removeErr)
	}
	return fmt.Errorf("%w; it was removed: try again, and look at the service's health", err)
}
