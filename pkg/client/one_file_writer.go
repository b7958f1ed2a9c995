package client

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// oneFile is the file that is being written.
type oneFile struct {
	*parts
	sum *inOrder
}

// WritePart asks for an address, and uploads the part there. An address that has
// expired meanwhile is a storage.TemporaryError: the next try asks for a new one.
func (f *oneFile) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	return f.write(ctx, number, offset, p, func(ctx context.Context) (string, error) {
		if err := f.sum.write(ctx, number, p); err != nil {
			return "", err
		}
		return f.upload(ctx, number, p)
	})
}

func (f *oneFile) upload(ctx context.Context, number int, p []byte) (etag string, err error) {
	md5 := md5.Sum(p)
	sum := base64.StdEncoding.EncodeToString(md5[:])
	var address api.PartURL
	if err := f.run.client.call(ctx, "ask where to put a part of", http.MethodPost, f.run.path("status"), api.Status{
		Status: api.StatusInProgress, AgentID: f.run.client.options.AgentID, PartNumber: number, Hash: sum,
	}, &address); err != nil {
		return "", err
	}
	etag, err = f.put(ctx, number, address.PartUploadURL, sum, p)
	if err == nil && (etag == "" || len(etag) > longestETag) {
		err = &storage.TemporaryError{Err: fmt.Errorf("upload part %d of %s: what was stored has the ETag %.80q", number, f.name, etag)}
	}
	return etag, err
}

// longestETag bounds what is kept of a part: DONE tells all of them.
const longestETag = 200

// Commit ends the file, of which each part is stored. The service is told by Put.
func (f *oneFile) Commit(ctx context.Context) (storage.Object, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Object{}, err
	}
	_, size, err := f.whole()
	if err == nil && size == 0 {
		err = fmt.Errorf("write %s: it is empty", f.name)
	}
	if err != nil {
		return storage.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return storage.Object{}, fmt.Errorf("write %s: %w", f.name, f.ended)
	}
	f.ended = errOver
	return storage.Object{Name: f.name, Size: size, Modified: time.Now()}, nil
}

// isWhole says whether it was committed.
func (f *oneFile) isWhole() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended == errOver
}

// Abort ends what goes on.
func (f *oneFile) Abort(context.Context) error {
	f.mu.Lock()
	if f.ended == nil {
		f.ended = errAborted
	}
	f.mu.Unlock()
	f.stop(errAborted)
	f.writing.Wait()
	return nil
}

// inOrder is the MD5 of parts that come at once.
type inOrder struct {
	mu    sync.Mutex
	sum   hash.Hash
	next  int
	moved chan struct{} // closed when next is another
}

func newInOrder() *inOrder { return &inOrder{sum: md5.New(), next: 1, moved: make(chan struct{})} }

// write adds a part when all before it were added; one that is written again it has.
func (o *inOrder) write(ctx context.Context, number int, p []byte) error {
	for {
		moved, done := o.try(number, p)
		if done {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *inOrder) try(number int, p []byte) (moved chan struct{}, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if number > o.next {
		return o.moved, false
	}
	if number == o.next {
		_, _ = o.sum.Write(p) // never fails
		o.next++
		close(o.moved)
		o.moved = make(chan struct{})
	}
	return nil, true
}

func (o *inOrder) hex() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return hex.EncodeToString(o.sum.Sum(nil))
}
