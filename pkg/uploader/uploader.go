// Package uploader stores streams, each as one object, or as several where a
// store limits the parts of one.
//
//	up, err := uploader.New(store, uploader.Options{Streams: 2})
//	… for each of the streams, two at once:
//	s := up.Stream()
//	for result.More = true; result.More && err == nil; {
//		result, err = s.Upload(ctx, nextName(), r)
//	}
//
// [Stream.Upload] cuts a stream into parts, writes several of them at once,
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
// An Uploader holds no more than Budget bytes of parts, whatever the streams'
// size, however many there are and however many objects they become. One part
// belongs to each stream that goes on, and they share the rest: one whose source
// is slow, or waits, holds up no other. The number of parts that are written at
// once, and the rate, are of all streams together.
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

// LeftError says that what was written before an upload failed is there yet.
type LeftError struct {
	Err     error // why the upload failed
	Removal error // why that could not be removed
}

func (e *LeftError) Error() string {
	return fmt.Sprintf("%v (and what was written could not be removed: %v)", e.Err, e.Removal)
}

// Unwrap returns why the upload failed.
func (e *LeftError) Unwrap() error { return e.Err }

// Result is what was stored.
type Result struct {
	Size   int64  // bytes
	SHA256 string // hex
	More   bool   // the stream goes on: Upload the rest of it under another name
}

// Uploader stores streams, several at once. Its parts serve all of them.
type Uploader struct {
	store   storage.Store
	options Options
	pace    *pace

	shared  chan *part      // the free ones of those that all streams share
	seats   chan chan *part // for each stream that may begin, where its own part is
	writing chan struct{}   // holds one for each part that is being written

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
	shared := o.buffers() - o.Streams
	u := &Uploader{
		store: store, options: o, pace: newPace(o.Rate),
		shared: make(chan *part, shared), seats: make(chan chan *part, o.Streams), writing: make(chan struct{}, o.Parallel),
	}
	for range shared {
		u.shared <- &part{home: u.shared}
	}
	for range o.Streams {
		u.seats <- newSeat()
	}
	return u, nil
}

// newSeat is what a stream has for itself: one part.
func newSeat() chan *part {
	seat := make(chan *part, 1)
	seat <- &part{home: seat}
	return seat
}

// fail keeps the first error of a stream, which every later Upload returns.
func (u *Uploader) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = err
	}
}

func (u *Uploader) broken() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
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
	return &LeftError{Err: first, Removal: removal}
}

// closeSource frees whoever writes into r's other end.
func closeSource(r io.Reader, cause error) {
	if c, ok := r.(interface{ CloseWithError(error) error }); ok {
		_ = c.CloseWithError(cause)
	}
}
