// Package uploader stores a stream as one object.
//
// [Upload] cuts the stream into parts, writes several of them at once, hashes
// the whole meanwhile, and commits the object only when the stream ended
// cleanly and every part is stored. In every other case (the source fails, the
// store fails, the context ends, a call to the store hangs) nothing is
// committed, what was written is removed, and the first cause is returned.
//
// It holds Parallel+2 buffers of PartSize bytes, whatever the stream's size:
// 16 MiB by default.
package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Errors that say why an upload was not committed, or was taken back.
var (
	// ErrEmpty says that the stream held no byte. No backup is empty.
	ErrEmpty = errors.New("the source gave no data at all")
	// ErrSize says that the store holds another number of bytes than was sent.
	ErrSize = errors.New("the store does not hold what was sent")
	// ErrStalled says that a call to the store took longer than StallTimeout.
	ErrStalled = errors.New("the store makes no progress")
)

const (
	defaultPartSize = 4 << 20
	defaultParallel = 2
	defaultStall    = 10 * time.Minute

	// abortLimit bounds the removal of what was written.
	abortLimit = 30 * time.Second
	// grace is what a call to the store has left to return after its context
	// ended; one that hangs in the kernel is then left behind.
	grace = 5 * time.Second
)

// Options sets how a stream is stored. The zero value is ready for use.
type Options struct {
	// PartSize is the size of every part but the last, in bytes. 0 means 4 MiB.
	PartSize int
	// Parallel is how many parts are written at once. 0 means 2.
	Parallel int
	// StallTimeout is the longest that one call to the store may take: writing
	// a part, or the commit. 0 means 10 minutes.
	StallTimeout time.Duration
	// Progress, if set, is called after each part with the bytes stored so
	// far. Calls do not overlap.
	Progress func(storedBytes int64)
}

func (o Options) withDefaults() Options {
	if o.PartSize <= 0 {
		o.PartSize = defaultPartSize
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	return o
}

// Result is what was stored.
type Result struct {
	Size   int64  // bytes
	SHA256 string // hex
}

// Upload stores all of r under name. It returns nil only after the object is
// committed and the store says that it holds as many bytes as r gave.
//
// io.EOF is the only clean end of r; any other error of r aborts the upload. If
// the upload fails and r has a CloseWithError method (an [io.PipeReader] has),
// it is closed with the first cause, which frees its writer. Of any other r, a
// Read must end when ctx does, as Upload waits for it.
func Upload(ctx context.Context, store storage.Store, name string, r io.Reader, o Options) (Result, error) {
	o = o.withDefaults()
	var w storage.Writer
	err := bounded(ctx, o.StallTimeout, func(ctx context.Context) (err error) {
		w, err = store.Create(ctx, name)
		return err
	})
	if err != nil {
		closeSource(r, err)
		return Result{}, fmt.Errorf("upload %s to %s: %w", name, store, err)
	}
	result, err := newStream(o, w).store(ctx, r)
	if err == nil {
		err = commit(ctx, store, name, w, result.Size, o)
	} else {
		err = abort(ctx, w, err)
	}
	if err != nil {
		return Result{}, fmt.Errorf("upload %s to %s: %w", name, store, err)
	}
	return result, nil
}

// commit commits, and compares what the store says it holds with what was sent.
func commit(ctx context.Context, store storage.Store, name string, w storage.Writer, size int64, o Options) error {
	var object storage.Object
	err := bounded(ctx, o.StallTimeout, func(ctx context.Context) (err error) {
		object, err = w.Commit(ctx)
		return err
	})
	if err != nil {
		return abort(ctx, w, err)
	}
	if object.Size == size {
		return nil
	}
	err = fmt.Errorf("%w: %d bytes were sent and %d are there; it was removed: try again, and look at the store's health", ErrSize, size, object.Size)
	ctx = context.WithoutCancel(ctx)
	removeErr := bounded(ctx, abortLimit, func(ctx context.Context) error { return store.Remove(ctx, name) })
	return withSecond(err, removeErr)
}

// abort removes what was written, even when ctx has ended, and returns cause.
func abort(ctx context.Context, w storage.Writer, cause error) error {
	return withSecond(cause, bounded(context.WithoutCancel(ctx), abortLimit, w.Abort))
}

func withSecond(first, removal error) error {
	if removal == nil {
		return first
	}
	return fmt.Errorf("%w (and what was written could not be removed: %v)", first, removal)
}

// closeSource frees whoever writes into r's other end.
func closeSource(r io.Reader, cause error) {
	if c, ok := r.(interface{ CloseWithError(error) error }); ok {
		_ = c.CloseWithError(cause)
	}
}
