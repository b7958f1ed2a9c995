package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

var (
	errAborted = errors.New("it was aborted")
	errOver    = errors.New("it was committed or aborted before")
)

// parts are those of an object that is being written.
type parts struct {
	name string
	run  *Run
	life context.Context
	stop context.CancelCauseFunc

	mu      sync.Mutex
	all     map[int]part
	writing sync.WaitGroup
	ended   error
}

type part struct {
	offset, size int64
	etag         string
}

func newParts(ctx context.Context, run *Run, name string) *parts {
	p := &parts{name: name, run: run, all: map[int]part{}}
	p.life, p.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	return p
}

// write has upload store a part, within the object's life, and keeps its ETag.
func (w *parts) write(ctx context.Context, number int, offset int64, p []byte, upload func(ctx context.Context) (etag string, err error)) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if number < 1 || number > mostParts {
		return fmt.Errorf("write part %d of %s: the service takes 1 to %d", number, w.name, mostParts)
	}
	if err := w.enter(); err != nil {
		return fmt.Errorf("write part %d of %s: %w", number, w.name, err)
	}
	defer w.writing.Done()
	ctx, cancel := w.bind(ctx)
	defer cancel()
	etag, err := upload(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[number] = part{offset, int64(len(p)), etag}
	return nil
}

// enter counts a call that Abort has to wait for.
func (w *parts) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.writing.Add(1)
	}
	return w.ended
}

// bind is ctx, which also ends when the object is aborted, or the backup lost.
func (w *parts) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	aborted := context.AfterFunc(w.life, func() { cancel(context.Cause(w.life)) })
	lost := context.AfterFunc(w.run.ctx, func() { cancel(context.Cause(w.run.ctx)) })
	return ctx, func() {
		aborted()
		lost()
		cancel(nil)
	}
}

// put sends a part to the address that the service gave for it, and returns the ETag
// of what was stored.
func (w *parts) put(ctx context.Context, number int, address, hash string, p []byte) (etag string, err error) {
	c := w.run.client
	ctx, moved, stop := stalling(ctx, c.options.Stall)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, address, &moving{r: bytes.NewReader(p), moved: moved})
	if err != nil {
		return "", errors.New("the address that the service gave for a part is none")
	}
	r.ContentLength = int64(len(p))
	if len(p) == 0 {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-MD5", hash)
	got, err := c.bytes.Do(r)
	if err != nil {
		return "", broken(ctx, fmt.Errorf("upload part %d of %s: %w", number, w.name, stripped(err)))
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, largestRefusal))
	switch {
	case got.StatusCode < 200 || got.StatusCode > 299: // of the service, or of a bucket, whose words are no JSON
		err = fmt.Errorf("upload part %d of %s: %w", number, w.name, meaning(got.StatusCode, text))
	case err != nil:
		err = fmt.Errorf("upload part %d of %s: the answer broke off: %w", number, w.name, stripped(err))
	default:
		return got.Header.Get("ETag"), nil
	}
	if errors.Is(err, ErrLost) {
		return "", err
	}
	return "", &storage.TemporaryError{Err: err}
}

// largestRefusal bounds what is read of why a part was not taken.
const largestRefusal = 4 << 10

// broken is an error after which the same may work, unless its context is over.
func broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errStalled) {
		return cause
	} else if cause != nil {
		err = cause
	}
	return &storage.TemporaryError{Err: err}
}

// whole returns the parts' ETags in their order, if they leave no hole.
func (w *parts) whole() (etags []string, size int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 1; i <= len(w.all); i++ {
		p, ok := w.all[i]
		if !ok || p.offset != size {
			return nil, 0, fmt.Errorf("write %s: part %d, from byte %d on, is missing", w.name, i, size)
		}
		etags, size = append(etags, p.etag), size+p.size
	}
	return etags, size, nil
}

var errStalled = errors.New("no byte moved for too long")

// stalling is a context that ends when moved is not called for the time of limit.
func stalling(ctx context.Context, limit time.Duration) (_ context.Context, moved func(), stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w: %s", errStalled, limit)) })
	return ctx, func() { timer.Reset(limit) }, func() {
		timer.Stop()
		cancel(nil)
	}
}

// moving tells of each piece that is read.
type moving struct {
	r     *bytes.Reader
	moved func()
}

func (m *moving) Read(p []byte) (int, error) {
	m.moved()
	return m.r.Read(p)
}
