package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// Open reads an object from offset. A connection that breaks off, or on which
// nothing comes any more, is replaced by one that goes on at the same byte of
// the same state of the object.
func (s *Store) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	return s.open(ctx, name, "", offset)
}

func (s *Store) open(ctx context.Context, name, version string, offset int64) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("read %s: offset %d is negative", s.address(name), offset)
	}
	r := &reader{ctx: ctx, store: s, name: name, version: version, position: offset, size: -1}
	if err := s.options.Backoff.Retry(ctx, r.connect); err != nil {
		return nil, err
	}
	return r, nil
}

// reader is an object being read.
type reader struct {
	ctx      context.Context
	store    *Store
	name     string
	version  string // "" for the newest
	seen     string // the version that the service said it sends
	tag      string // pins the state, once something of it was read
	position int64
	size     int64 // of the whole object; -1 until it is known
	body     io.ReadCloser
	answer   *bucket.Answer
}

// State is what is read, as far as it is known; of an object whose end was
// asked for, nothing is.
func (r *reader) State() storage.ObjectVersion {
	if r.tag == "" {
		return storage.ObjectVersion{}
	}
	return storage.ObjectVersion{Name: r.name, ID: r.seen, Tag: r.tag, Size: r.size}
}

// doing is what the service's answers are about.
func (r *reader) doing() string {
	if r.version != "" {
		return "read a version of"
	}
	return "read"
}

// connect asks for the rest of the object.
func (r *reader) connect(ctx context.Context) error {
	o := minio.GetObjectOptions{VersionID: r.version}
	if r.position > 0 {
		o.Set("Range", fmt.Sprintf("bytes=%d-", r.position))
	}
	if r.tag != "" && r.version == "" {
		if err := o.SetMatchETag(r.tag); err != nil {
			return err
		}
	}
	a, err := r.store.client.Try(ctx, r.doing(), r.name, func(ctx context.Context) error {
		body, info, header, err := r.store.core.GetObject(ctx, r.store.options.Bucket, r.store.key(r.name), o)
		if err == nil {
			err = r.begin(body, info, header)
		}
		return err
	})
	r.answer = a
	switch {
	case bucket.Status(err) == http.StatusRequestedRangeNotSatisfiable && r.position > 0 && r.size < 0:
		r.size = r.position // it ends before the offset: nothing to read
		return nil
	case bucket.Status(err) == http.StatusPreconditionFailed && r.version == "" && r.seen != "" && r.seen != noVersion:
		r.version = r.seen // somebody wrote another over it, and this one is kept
		return r.connect(ctx)
	case bucket.Status(err) == http.StatusPreconditionFailed:
		return fmt.Errorf("read %s: %w while it was being read: begin again", r.store.address(r.name), storage.ErrChanged)
	case r.version == "" && r.tag == "":
		return r.store.absent(ctx, r.name, err)
	}
	return err
}

// begin checks that an answer has what was asked for.
func (r *reader) begin(body io.ReadCloser, info minio.ObjectInfo, header http.Header) error {
	start, size := int64(0), info.Size
	if text := header.Get("Content-Range"); text != "" {
		var ok bool
		if start, size, ok = parseRange(text); !ok {
			body.Close()
			return fmt.Errorf("the service sent Content-Range %q", r.store.client.Clean(text))
		}
	}
	switch {
	case start != r.position:
		body.Close()
		return fmt.Errorf("bytes from %d on were asked for, and the service sends from %d on", r.position, start)
	case r.size >= 0 && size != r.size, r.tag != "" && info.ETag != r.tag:
		body.Close()
		return fmt.Errorf("%w: %d bytes (ETag %s) instead of %d (%s)", storage.ErrChanged, size, r.store.client.Clean(info.ETag), r.size, r.tag)
	}
	r.body, r.size, r.tag, r.seen = body, size, info.ETag, info.VersionID
	return nil
}

// parseRange takes "bytes 5-9/10" apart.
func parseRange(text string) (start, size int64, ok bool) {
	text, isBytes := strings.CutPrefix(text, "bytes ")
	span, whole, hasSize := strings.Cut(text, "/")
	from, _, hasEnd := strings.Cut(span, "-")
	start, startErr := strconv.ParseInt(from, 10, 64)
	size, sizeErr := strconv.ParseInt(whole, 10, 64)
	return start, size, isBytes && hasSize && hasEnd && startErr == nil && sizeErr == nil && 0 <= start && start < size
}

// Read fails with the context's cause once that has ended.
func (r *reader) Read(p []byte) (n int, err error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.position >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), r.size-r.position)]
	err = r.store.options.Backoff.Retry(r.ctx, func(context.Context) error {
		// Not the given context: the body outlives this call.
		if r.body == nil {
			if err := r.connect(r.ctx); err != nil {
				return err
			}
		}
		n, err = r.body.Read(p)
		return r.after(n, err)
	})
	r.position += int64(n)
	return n, err
}

// after says whether a read that gave n bytes and an error is to be repeated on
// another connection.
func (r *reader) after(n int, err error) error {
	if err == nil {
		return nil
	}
	_ = r.Close()
	switch {
	case n > 0:
		return nil
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return r.store.client.Explain(r.doing(), r.name, r.answer, fmt.Errorf("at byte %d of %d: %w", r.position, r.size, err))
}

// Close lets go of the connection.
func (r *reader) Close() error {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	return nil
}
