package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

var (
	errAborted   = errors.New("it was aborted")
	errCommitted = errors.New("it was committed already")
)

// writer is one object being written. A part that is too small to be followed
// by another is kept until Commit, which writes it by one request.
type writer struct {
	store *Store
	name  string

	// starting is held by who asks for the upload's id.
	starting chan struct{}

	mu       sync.Mutex
	upload   string // the upload's id, once there is one
	strays   bool   // an answer that held an id was lost: the upload is there
	broken   bool   // a part's call broke off: the service may still store it
	maybe    bool   // a Commit that failed may have made the object
	small    []byte // the first part, when it is the only one
	parts    map[int]part
	ended    error // why no more is taken
	writing  sync.WaitGroup
	stopping context.CancelCauseFunc
	life     context.Context
}

// part is what is known of a part that the service took.
type part struct {
	number       int
	offset, size int64
	tag          string
	sum          string // SHA-256 in base64, where the service keeps it
}

// Create begins an object. It sends nothing yet.
func (s *Store) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	w := &writer{store: s, name: name, starting: make(chan struct{}, 1), parts: make(map[int]part)}
	// Its own life, not that of the context: Abort ends the calls that go on.
	w.life, w.stopping = context.WithCancelCause(context.WithoutCancel(ctx))
	return w, nil
}

// WritePart uploads a part. It does not try again: an error after which that
// makes sense is a storage.TemporaryError.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if number < 1 || number > w.store.options.MaxParts {
		return fmt.Errorf("write part %d of %s: the service takes 1 to %d", number, w.store.address(w.name), w.store.options.MaxParts)
	}
	if err := w.enter(); err != nil {
		return fmt.Errorf("write part %d of %s: %w", number, w.store.address(w.name), err)
	}
	defer w.writing.Done()
	if number == 1 && offset == 0 && len(p) < smallestPart {
		w.keep(p)
		return nil
	}
	ctx, cancel := w.bind(ctx)
	defer cancel()
	if err := w.start(ctx); err != nil {
		return err
	}
	stored, err := w.send(ctx, number, p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.broken = w.broken || bucket.Temporary(err) || ctx.Err() != nil
		return err
	}
	stored.offset = offset
	w.parts[number] = stored
	if number == 1 {
		w.small = nil
	}
	return nil
}

// bind is ctx, which also ends when the object is aborted.
func (w *writer) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(w.life, func() { cancel(context.Cause(w.life)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
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

func (w *writer) keep(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.small = append(make([]byte, 0, len(p)), p...)
	delete(w.parts, 1)
}

// start asks for the upload's id, once.
func (w *writer) start(ctx context.Context) error {
	select {
	case w.starting <- struct{}{}:
		defer func() { <-w.starting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.id() != "" {
		return nil
	}
	o := w.store.newObject(w.name)
	if w.store.options.Checksum == SHA256 {
		o.UserMetadata["X-Amz-Checksum-Algorithm"] = "SHA256"
	}
	var id string
	_, err := w.store.client.Try(ctx, "begin the upload of", w.name, func(ctx context.Context) (err error) {
		id, err = w.store.core.NewMultipartUpload(ctx, w.store.options.Bucket, w.store.key(w.name), o)
		if err == nil && id == "" {
			err = errors.New("the service gave the upload no id")
		}
		return err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upload = id
	if err != nil && (bucket.Temporary(err) || ctx.Err() != nil) {
		w.strays = true
	}
	return err
}

func (w *writer) id() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.upload
}

func (w *writer) send(ctx context.Context, number int, p []byte) (part, error) {
	sum := w.store.sums(p)
	o := minio.PutObjectPartOptions{Md5Base64: sum.md5, Sha256Hex: sum.hex, DisableContentSha256: true}
	if sum.sha256 != "" {
		o.CustomHeader = http.Header{checksumHeader: {sum.sha256}}
	}
	body := newBody(p)
	defer body.release()
	stored := part{number: number, size: int64(len(p)), sum: sum.sha256}
	_, err := w.store.client.Try(ctx, fmt.Sprintf("write part %d of", number), w.name, func(ctx context.Context) error {
		answer, err := w.store.core.PutObjectPart(ctx, w.store.options.Bucket, w.store.key(w.name), w.id(), number, body, stored.size, o)
		stored.tag = answer.ETag
		switch {
		case err != nil:
			return err
		case answer.ETag == "":
			return errors.New("the answer has no ETag")
		case sum.sha256 != "" && answer.ChecksumSHA256 != "" && answer.ChecksumSHA256 != sum.sha256:
			return errors.New("the service's checksum is another than that of what was sent")
		}
		return nil
	})
	return stored, err
}

// whole returns the parts in their order, if they leave no hole.
func (w *writer) whole() (parts []part, size int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int { return a.number - b.number })
	for i, p := range parts {
		if p.number != i+1 || p.offset != size {
			return nil, 0, fmt.Errorf("write %s: part %d, from byte %d on, is missing", w.store.address(w.name), i+1, size)
		}
		size += p.size
	}
	return parts, size, nil
}
