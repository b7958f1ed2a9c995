package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// reader is an object that is being read.
type reader struct {
	ctx   context.Context
	store *Store
	name  string
	at    int64
	state api.DownloadURL // the address, and what it was when it was opened

	body  io.ReadCloser // nil: a request is to be sent
	moved func()
	stop  func()
	err   error // why nothing more can be read
}

// address asks where the object is. One that changed since it was opened is an
// error.
func (r *reader) address(ctx context.Context) error {
	q := r.store.agent()
	q.Set("name", r.name)
	var d api.DownloadURL
	if err := r.store.client.call(ctx, "ask where a file is in", http.MethodGet, "/projects/"+r.store.project+"/objects/downloadUrl?"+q.Encode(), nil, &d); err != nil {
		return fmt.Errorf("read %s: %w", r.name, err)
	}
	if r.state.ETag != "" && (d.ETag != r.state.ETag || d.Size != r.state.Size) {
		return fmt.Errorf("read %s: it changed while it was read", r.name)
	}
	r.state = d
	return nil
}

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
	o := r.store.client.options
	r.err = storage.Backoff{Tries: o.Tries, First: o.Wait}.Retry(r.ctx, func(ctx context.Context) error {
		n, err = r.once(p[:min(int64(len(p)), r.state.Size-r.at)])
		return err
	})
	if n > 0 {
		return n, nil
	}
	return 0, r.err
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
		r.body = got.Body
		return nil
	case got.StatusCode == http.StatusPreconditionFailed:
		err = fmt.Errorf("read %s: it changed while it was read", r.name)
	default:
		text, _ := io.ReadAll(io.LimitReader(got.Body, 4<<10))
		err = fmt.Errorf("read %s: %w", r.name, meaning(got.StatusCode, bytes.TrimSpace(text)))
	}
	got.Body.Close()
	r.end()
	return err
}

func (r *reader) get() (*http.Response, error) {
	ctx, moved, stop := stalling(r.ctx, r.store.client.options.Stall)
	r.moved, r.stop = moved, stop
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.state.DownloadURL, nil)
	if err != nil {
		r.end()
		return nil, errors.New("the address that the service gave for a file is none")
	}
	q.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.at))
	if r.state.ETag != "" {
		q.Header.Set("If-Match", r.state.ETag)
	}
	got, err := r.store.client.bytes.Do(q)
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
