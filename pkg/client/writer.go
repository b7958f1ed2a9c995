package client

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

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
	return &writer{parts: newParts(ctx, s.run, name), store: s, temp: "upload-" + rand.Text()}, nil
}

// writer is one object that is being written.
type writer struct {
	*parts
	store *Store
	temp  string // until it is complete

	over  bool // nothing is left to do; guarded as the parts are, as is maybe
	maybe bool // a Commit that failed may have made the object
}

// WritePart asks for an address, and uploads the part there. An address that has
// expired meanwhile is a storage.TemporaryError: the next try asks for a new one.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	return w.write(ctx, number, offset, p, func(ctx context.Context) (string, error) { return w.upload(ctx, number, p) })
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
	if etag, err = w.put(ctx, number, address.PartUploadURL, hash, p); err != nil {
		return "", err
	}
	if etag != `"`+hex.EncodeToString(sum[:])+`"` {
		return "", &storage.TemporaryError{Err: fmt.Errorf("upload part %d of %s: what was stored has the ETag %.80q", number, w.name, etag)}
	}
	return etag, nil
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
