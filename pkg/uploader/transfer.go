package uploader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/dbacked/dbacked/pkg/storage"
)

// part is one of the few buffers, on its way round: free, filled, then hashed
// and written at the same time, free again.
type part struct {
	home   chan *part // where it is when it is free
	number int
	offset int64
	buffer []byte // made on first use
	data   []byte // the filled beginning of buffer
	users  atomic.Int32
}

// transfer is one object's way into the store.
type transfer struct {
	*Stream
	writer  storage.Writer
	hashed  chan *part // in the stream's order
	written chan *part
	sum     hash.Hash
}

func newTransfer(s *Stream, w storage.Writer) *transfer {
	buffers := s.up.options.buffers()
	return &transfer{Stream: s, writer: w, sum: sha256.New(), hashed: make(chan *part, buffers), written: make(chan *part, buffers)}
}

// send reads r to its end, or to where the store's limit is, and returns when
// all of that is hashed and written, or, with the first cause, when nothing of
// this goes on any more.
func (t *transfer) send(parent context.Context, r io.Reader) (Result, error) {
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	keepSource := context.AfterFunc(ctx, func() { closeSource(r, context.Cause(ctx)) })
	defer keepSource()

	var running sync.WaitGroup
	running.Go(t.hash)
	for range t.up.options.Parallel {
		running.Go(func() { t.write(ctx, fail) })
	}
	size, err := t.read(ctx, r)
	if err != nil {
		fail(err)
	}
	close(t.hashed)
	close(t.written)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	return Result{Size: size, SHA256: hex.EncodeToString(t.sum.Sum(nil)), More: t.ahead != nil}, nil
}

// read cuts r into parts and hands each to hash and to write.
func (t *transfer) read(ctx context.Context, r io.Reader) (size int64, err error) {
	for number := 1; ; number++ {
		p, err := t.next(ctx, r)
		if err != nil {
			return size, err
		}
		if p == nil && size == 0 {
			return 0, ErrEmpty
		}
		if p == nil {
			return size, nil
		}
		if t.up.options.maxParts > 0 && number > t.up.options.maxParts {
			t.ahead = p // of the next object
			return size, nil
		}
		p.number, p.offset = number, size
		p.users.Store(2)
		size += int64(len(p.data))
		t.hashed <- p // never full: it has room for every buffer
		t.written <- p
	}
}

// next returns the next part of r, or nil at its end.
func (t *transfer) next(ctx context.Context, r io.Reader) (p *part, err error) {
	if p = t.ahead; p != nil {
		t.ahead = nil
		return p, nil
	}
	if t.ended {
		return nil, nil
	}
	if p, err = t.take(ctx); err != nil {
		return nil, err
	}
	n, err := fill(r, p.buffer)
	if err != nil && err != io.EOF {
		p.free()
		return nil, fmt.Errorf("its source failed: %w", err)
	}
	if n == 0 {
		p.free()
		return nil, nil
	}
	t.ended = err == io.EOF
	p.data = p.buffer[:n]
	return p, nil
}

// fill is io.ReadFull, but for a source whose error is io.ErrUnexpectedEOF:
// that is a broken source, not a short last part.
func fill(r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p) && err == nil; idle++ {
		var m int
		if m, err = r.Read(p[n:]); m > 0 {
			idle = 0
		}
		if n += m; idle == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

func (t *transfer) hash() {
	for p := range t.hashed {
		t.sum.Write(p.data)
		p.release()
	}
}

func (t *transfer) write(ctx context.Context, fail context.CancelCauseFunc) {
	for p := range t.written {
		if err := t.turn(ctx); err != nil {
			p.release()
			continue
		}
		err := t.writePart(ctx, p)
		<-t.up.writing
		if err != nil {
			// The part is not released: a call that hangs may still read it.
			fail(err)
			continue
		}
		t.up.progress(int64(len(p.data)))
		p.release()
	}
}

// turn waits until one of the writes that all streams may have at once is over.
func (t *transfer) turn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case t.up.writing <- struct{}{}:
		return nil
	}
}

// writePart writes a part, again after errors that may pass.
func (t *transfer) writePart(ctx context.Context, p *part) error {
	if err := t.up.pace.wait(ctx, len(p.data)); err != nil {
		return err
	}
	tried := false
	return bounded(ctx, t.up.options.StallTimeout, func(ctx context.Context) error {
		return t.up.options.Backoff.Retry(ctx, func(ctx context.Context) error {
			if tried {
				t.up.pace.book(len(p.data))
			}
			tried = true
			return t.writer.WritePart(ctx, p.number, p.offset, p.data)
		})
	})
}

// release is called by each of the two that use a part.
func (p *part) release() {
	if p.users.Add(-1) == 0 {
		p.free()
	}
}

func (p *part) free() { p.home <- p } // which has room for it
