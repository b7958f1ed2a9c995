// Package uploader stores a stream as one object, or as several where a store
// limits the parts of one.
//
// [Uploader.Upload] cuts the stream into parts, writes several of them at once,
// hashes the whole meanwhile, and commits the object only when the stream ended
// cleanly, or reached the store's limit, and every part is stored. In every
// other case (the source fails, the store fails for good, the context ends, a
// call to the store hangs) nothing is committed, what was written is removed,
// and the first cause is returned.
//
// A part that fails with a [storage.TemporaryError] is written again, with the
// same bytes, as [Options.Backoff] says and never for longer than StallTimeout.
// A store ends a try that makes no progress itself, with such an error: how long
// a part may take depends on the line, and only the store sees whether bytes
// move.
//
// An Uploader holds no more than Budget bytes of parts, whatever the stream's
// size and however many objects it becomes.
package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Errors that say why an upload was not committed, or was taken back.
var (
	// ErrEmpty says that the stream held no byte. No backup is empty.
	ErrEmpty = errors.New("the source gave no data at all")
	// ErrSize says that the store holds another number of bytes than was sent.
	ErrSize = errors.New("the store does not hold what was sent")
	// ErrStalled says that a part, with all its tries, or the commit took longer
	// than StallTimeout.
	ErrStalled = errors.New("the store makes no progress")
)

const (
	// abortLimit bounds the removal of what was written.
	abortLimit = 30 * time.Second
	// grace is what a call to the store has left to return after its context
	// ended; one that hangs in the kernel is then left behind.
	grace = 5 * time.Second
)

// Result is what was stored.
type Result struct {
	Size   int64  // bytes
	SHA256 string // hex
	More   bool   // the stream goes on: Upload the rest of it under another name
}

// Uploader stores streams, one after the other. Its parts serve all of them.
type Uploader struct {
	store   storage.Store
	options Options
	pace    *pace
	free    chan *part

	// Between two objects of one stream:
	ahead *part // read, and not of the object that was committed
	ended bool  // the stream gave io.EOF

	mu     sync.Mutex
	stored int64
	failed error
}

// New returns an Uploader for a store, whose limits it heeds. It fails if the
// options do not fit them, and takes no memory yet.
func New(store storage.Store, o Options) (*Uploader, error) {
	o, err := o.fit(store)
	if err != nil {
		return nil, err
	}
	buffers := o.Parallel + spare
	u := &Uploader{store: store, options: o, pace: newPace(o.Rate), free: make(chan *part, buffers)}
	for range buffers {
		u.free <- &part{}
	}
	return u, nil
}

// Upload stores r under name, all of it or as much as the store takes as one
// object: then the result says More, and Upload is to be called again, with the
// same r and another name, until it does not. It returns nil only after the
// object is committed and the store says that it holds as many bytes as were
// sent of r. After an error the Uploader cannot be used again.
//
// io.EOF is the only clean end of r; any other error of r aborts the upload. If
// the upload fails and r has a CloseWithError method (an [io.PipeReader] has),
// it is closed with the first cause, which frees its writer. Of any other r, a
// Read must end when ctx does, as Upload waits for it.
func (u *Uploader) Upload(ctx context.Context, name string, r io.Reader) (Result, error) {
	if u.failed != nil {
		return Result{}, u.failed
	}
	result, err := u.upload(ctx, name, r)
	if err != nil {
		u.failed = fmt.Errorf("upload %s to %s: %w", name, u.store, err)
		return Result{}, u.failed
	}
	return result, nil
}

func (u *Uploader) upload(ctx context.Context, name string, r io.Reader) (Result, error) {
	var w storage.Writer
	err := bounded(ctx, u.options.StallTimeout, func(ctx context.Context) (err error) {
		w, err = u.store.Create(ctx, name)
		return err
	})
	if err != nil {
		closeSource(r, err)
		return Result{}, err
	}
	result, err := newStream(u, w).send(ctx, r)
	if err != nil {
		return Result{}, abort(ctx, w, err)
	}
	if err := u.commit(ctx, name, w, result.Size); err != nil {
		closeSource(r, err)
		return Result{}, err
	}
	return result, nil
}

// commit commits, and compares what the store says it holds with what was sent.
func (u *Uploader) commit(ctx context.Context, name string, w storage.Writer, size int64) error {
	var object storage.Object
	err := bounded(ctx, u.options.StallTimeout, func(ctx context.Context) (err error) {
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
	removeErr := bounded(ctx, abortLimit, func(ctx context.Context) error { return u.store.Remove(ctx, name) })
	return withSecond(err, removeErr)
}

// progress counts what is stored, of all objects.
func (u *Uploader) progress(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stored += n
	u.options.Progress(u.stored)
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
