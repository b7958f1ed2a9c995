package rclone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Open reads an object from offset. A read that breaks off goes on where it was,
// unless the object has changed.
func (s *Store) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("read %s: offset %d is negative", s.address(name), offset)
	}
	e, err := s.stat(ctx, name, "")
	if err != nil {
		return nil, err
	}
	if offset >= e.Size {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return &reader{ctx: ctx, store: s, name: name, entry: e, at: offset}, nil
}

// reader is an object that is being read.
type reader struct {
	ctx   context.Context
	store *Store
	name  string
	entry entry // what it was when it was opened
	at    int64

	run  *process.Process // nil until there is one, and after it broke off
	pipe *os.File
	stop func() bool
	err  error // why nothing more can be read

	resumes bool // the next run is not the first
}

func (r *reader) Read(p []byte) (n int, err error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	r.err = r.store.options.Backoff.Retry(r.ctx, func(ctx context.Context) error {
		n, err = r.once(ctx, p)
		return err
	})
	if n > 0 {
		return n, nil // what is wrong comes with the next call
	}
	return 0, r.err
}

// once reads what one run of rclone gives.
func (r *reader) once(ctx context.Context, p []byte) (int, error) {
	if r.at >= r.entry.Size {
		r.end() // having given all; how rclone ends does not matter
		return 0, io.EOF
	}
	if r.run == nil {
		if err := r.begin(ctx); err != nil {
			return 0, err
		}
	}
	_ = r.pipe.SetReadDeadline(time.Now().Add(r.store.options.Stall))
	if cause := context.Cause(r.ctx); cause != nil { // its deadline may just have been replaced
		return 0, cause
	}
	n, err := r.pipe.Read(p[:min(int64(len(p)), r.entry.Size-r.at)])
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if cause := context.Cause(r.ctx); cause != nil {
		return 0, cause
	}
	return 0, r.broke(ctx, err)
}

// begin starts a run at the place where the last one broke off.
func (r *reader) begin(ctx context.Context) error {
	if r.resumes {
		e, err := r.store.stat(ctx, r.name, "")
		if err != nil {
			return err
		}
		if e.Size != r.entry.Size || !e.ModTime.Equal(r.entry.ModTime) {
			return fmt.Errorf("read %s: it changed while it was read", r.store.address(r.name))
		}
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	r.resumes = true
	r.run, err = r.store.start(nil, in, "cat", "--retries=1", "--buffer-size=4M", "--offset="+strconv.FormatInt(r.at, 10), r.store.target(r.name))
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		r.run = nil
		return err
	}
	r.pipe = out
	r.stop = context.AfterFunc(r.ctx, func() { _ = out.SetReadDeadline(time.Unix(1, 0)) })
	return nil
}

// broke says why a run gave no more before the object's end.
func (r *reader) broke(ctx context.Context, err error) error {
	if !errors.Is(err, io.EOF) { // it gives nothing for too long
		r.end()
		return r.store.failed("read", r.name, &stallError{limit: r.store.options.Stall})
	}
	run := r.run
	err = wait(ctx, run, r.store.options.Stall)
	r.end()
	if err == nil {
		return &storage.TemporaryError{Err: fmt.Errorf("read %s: it ended at byte %d of %d", r.store.address(r.name), r.at, r.entry.Size)}
	}
	return r.store.failed("read", r.name, err)
}

func (r *reader) end() {
	if r.run == nil {
		return
	}
	r.stop()
	r.run.Kill()
	_ = r.pipe.Close()
	r.run = nil
}

func (r *reader) Close() error {
	r.end()
	r.err = os.ErrClosed
	return nil
}
