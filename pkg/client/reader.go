package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// reader is an object that is being read.
type reader struct {
	ctx    context.Context
	client *Client
	name   string
	at     int64
	locate func(ctx context.Context) (api.DownloadURL, error)
	state  api.DownloadURL // the address, and what it was when it was opened

	// pin, if set, takes from an answer what an old service does not tell, or says that
	// it is another object.
	pin func(got *http.Response, at int64) (size int64, etag string, err error)

	body  io.ReadCloser // nil: a request is to be sent
	moved func()
	stop  func()
	err   error // why nothing more can be read
}

// address asks where the object is. One that changed since it was opened is an
// error.
func (r *reader) address(ctx context.Context) error {
	d, err := r.locate(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.name, err)
	}
	if r.pin != nil {
		d.ETag, d.Size = r.state.ETag, r.state.Size
	}
	if r.state.ETag != "" && (d.ETag != r.state.ETag || d.Size != r.state.Size) {
		return r.changed()
	}
	r.state = d
	return nil
}

func (r *reader) changed() error { return fmt.Errorf("read %s: %w", r.name, errChanged) }

var errChanged = errors.New("it changed while it was read")

func (r *reader) Read(p []byte) (n int, err error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.at >= r.state.Size {
		return 0, io.EOF
	}
	r.err = r.again(func() error {
		n, err = r.once(p[:min(int64(len(p)), r.state.Size-r.at)])
		return err
	})
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// again tries something as often as the client may.
func (r *reader) again(f func() error) error {
	o := r.client.options
	return storage.Backoff{Tries: o.Tries, First: o.Wait}.Retry(r.ctx, func(context.Context) error { return f() })
}

// once reads from one answer.
func (r *reader) once(p []byte) (int, error) {
	if r.body == nil {
		if err := r.begin(); err != nil {
			return 0, err
		}
	}
	n, err := r.body.Read(p)
	r.moved()
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.end()
	return 0, broken(r.ctx, fmt.Errorf("read %s: it broke off at byte %d of %d: %w", r.name, r.at, r.state.Size, stripped(err)))
}

// begin sends a request for what is not read yet. An address that has expired is
// asked for again.
func (r *reader) begin() error {
	got, err := r.get()
	if err != nil {
		return err
	}
	if got.StatusCode == http.StatusForbidden {
		got.Body.Close()
		r.end()
		if err := r.address(r.ctx); err != nil {
			return err
		}
		if got, err = r.get(); err != nil {
			return err
		}
	}
	switch {
	case got.StatusCode == http.StatusPartialContent, got.StatusCode == http.StatusOK && r.at == 0:
		if r.pin != nil {
			r.state.Size, r.state.ETag, err = r.pin(got, r.at)
		}
		if err == nil {
			r.body = got.Body
			return nil
		}
	case got.StatusCode == http.StatusOK:
		err = fmt.Errorf("read %s: it was asked for from byte %d on, and given from its beginning", r.name, r.at)
	case got.StatusCode == http.StatusPreconditionFailed:
		err = r.changed()
	default:
		text, _ := io.ReadAll(io.LimitReader(got.Body, 4<<10))
		err = fmt.Errorf("read %s: %w", r.name, meaning(got.StatusCode, bytes.TrimSpace(text)))
	}
	got.Body.Close()
	r.end()
	return err
}

func (r *reader) get() (*http.Response, error) {
	ctx, moved, stop := stalling(r.ctx, r.client.options.Stall)
	r.moved, r.stop = moved, stop
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.state.DownloadURL, nil)
	if err != nil {
		r.end()
		return nil, errors.New("the address that the service gave for a file is none")
	}
	q.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.at))
	if r.state.ETag != "" && !strings.HasPrefix(r.state.ETag, "W/") { // that never matches
		q.Header.Set("If-Match", r.state.ETag)
	}
	got, err := r.client.bytes.Do(q)
	if err != nil {
		r.end()
		return nil, broken(r.ctx, fmt.Errorf("read %s: %w", r.name, stripped(err)))
	}
	return got, nil
}

func (r *reader) end() {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

func (r *reader) Close() error {
	r.end()
	r.err = os.ErrClosed
	return nil
}
