package client

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Create begins an object, under a name that nobody else uses and that nobody sees.
func (s *Store) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	if s.run == nil {
		return nil, ErrNoRun
	}
	w := &writer{store: s, name: name, temp: "upload-" + rand.Text(), parts: map[int]part{}}
	w.life, w.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	return w, nil
}

var (
	errAborted = errors.New("it was aborted")
	errOver    = errors.New("it was committed or aborted before")
)

// writer is one object that is being written.
type writer struct {
	store *Store
	name  string
	temp  string // until it is complete
	life  context.Context
	stop  context.CancelCauseFunc

	mu      sync.Mutex
	parts   map[int]part
	writing sync.WaitGroup
	ended   error
	over    bool // nothing is left to do
	maybe   bool // a Commit that failed may have made the object
}

type part struct {
	offset, size int64
	etag         string
}

// WritePart asks for an address, and uploads the part there. An address that has
// expired meanwhile is a storage.TemporaryError: the next try asks for a new one.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
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
	etag, err := w.upload(ctx, number, p)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts[number] = part{offset, int64(len(p)), etag}
	return nil
}

// enter counts a call that Abort has to wait for.
func (w *writer) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.writing.Add(1)
	}
	return w.ended
}

// bind is ctx, which also ends when the object is aborted, or the backup lost.
func (w *writer) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	aborted := context.AfterFunc(w.life, func() { cancel(context.Cause(w.life)) })
	lost := context.AfterFunc(w.store.run.ctx, func() { cancel(context.Cause(w.store.run.ctx)) })
	return ctx, func() {
		aborted()
		lost()
		cancel(nil)
	}
}

func (w *writer) upload(ctx context.Context, number int, p []byte) (etag string, err error) {
	c := w.store.client
	sum := md5.Sum(p)
	hash := base64.StdEncoding.EncodeToString(sum[:])
	var address api.PartURL
	if err := c.call(ctx, "ask where to put a part of", http.MethodPost, w.store.run.path("parts"), api.PartRequest{
		AgentID: c.options.AgentID, File: w.temp, PartNumber: number, Hash: hash, Size: int64(len(p)),
	}, &address); err != nil {
		return "", err
	}
	ctx, moved, stop := stalling(ctx, c.options.Stall)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, address.PartUploadURL, &moving{r: bytes.NewReader(p), moved: moved})
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
	if err := c.understand(fmt.Sprintf("upload part %d of %s to", number, w.name), got, nil); err != nil {
		if errors.Is(err, ErrLost) {
			return "", err
		}
		return "", &storage.TemporaryError{Err: err}
	}
	etag = got.Header.Get("ETag")
	if etag != `"`+hex.EncodeToString(sum[:])+`"` {
		return "", &storage.TemporaryError{Err: fmt.Errorf("upload part %d of %s: what was stored has the ETag %.80q", number, w.name, etag)}
	}
	return etag, nil
}

// broken is an error after which the same may work, unless its context is over.
func broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errStalled) {
		return cause
	} else if cause != nil {
		err = cause
	}
	return &storage.TemporaryError{Err: err}
}

// Commit joins the parts, and gives the object its name, if that is free.
func (w *writer) Commit(ctx context.Context) (storage.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	if err := w.enter(); err != nil {
		return storage.Object{}, fmt.Errorf("write %s: %w", w.name, err)
	}
	defer w.writing.Done()
	ctx, cancel := w.bind(ctx)
	defer cancel()
	o, err := w.complete(ctx)
	if err != nil {
		return storage.Object{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended, w.over = errOver, true
	return o, nil
}

func (w *writer) complete(ctx context.Context) (storage.Object, error) {
	etags, size, err := w.whole()
	if err != nil {
		return storage.Object{}, err
	}
	if len(etags) == 0 {
		etag, err := w.upload(ctx, 1, nil) // of an empty object
		if err != nil {
			return storage.Object{}, err
		}
		etags = []string{etag}
	}
	w.mu.Lock()
	w.maybe = true
	w.mu.Unlock()
	var done api.CompletedFile
	err = w.store.client.call(ctx, "complete a file of", http.MethodPost, w.store.run.path("complete"), api.CompleteRequest{
		AgentID: w.store.client.options.AgentID, File: w.temp, As: w.name, PartsETag: etags, Size: size,
	}, &done)
	if errors.Is(err, storage.ErrExists) {
		w.mu.Lock()
		w.maybe = false
		w.mu.Unlock()
	}
	if err == nil && (done.File.Size != size || done.File.Name != w.name) {
		err = fmt.Errorf("write %s: the service holds %q of %d bytes instead of %d", w.name, done.File.Name, done.File.Size, size)
	}
	return object(done.File), err
}

// whole returns the parts' ETags in their order, if they leave no hole.
func (w *writer) whole() (etags []string, size int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 1; i <= len(w.parts); i++ {
		p, ok := w.parts[i]
		if !ok || p.offset != size {
			return nil, 0, fmt.Errorf("write %s: part %d, from byte %d on, is missing", w.name, i, size)
		}
		etags, size = append(etags, p.etag), size+p.size
	}
	return etags, size, nil
}

// Abort takes back what was written, even after ctx has ended.
func (w *writer) Abort(ctx context.Context) error {
	w.stop(errAborted)
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return nil
	}
	w.ended = errAborted
	maybe := w.maybe
	w.mu.Unlock()
	w.writing.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	err := w.store.discard(ctx, w.temp)
	if maybe {
		err = errors.Join(err, w.store.discard(ctx, w.name))
	}
	if errors.Is(err, ErrLost) {
		err = nil // the service itself removes what is lost
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = err == nil
	return err
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
