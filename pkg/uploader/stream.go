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
	number int
	offset int64
	buffer []byte // made on first use
	data   []byte // the filled beginning of buffer
	users  atomic.Int32
}

// stream is one object's way into the store.
type stream struct {
	*Uploader
	writer  storage.Writer
	hashed  chan *part // in the stream's order
	written chan *part
	sum     hash.Hash
}

func newStream(u *Uploader, w storage.Writer) *stream {
	buffers := cap(u.free)
	return &stream{Uploader: u, writer: w, sum: sha256.New(), hashed: make(chan *part, buffers), written: make(chan *part, buffers)}
}

// send reads r to its end, or to where the store's limit is, and returns when
// all of that is hashed and written, or, with the first cause, when nothing of
// this goes on any more.
func (s *stream) send(parent context.Context, r io.Reader) (Result, error) {
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	keepSource := context.AfterFunc(ctx, func() { closeSource(r, context.Cause(ctx)) })
	defer keepSource()

	var running sync.WaitGroup
	running.Go(s.hash)
	for range s.options.Parallel {
		running.Go(func() { s.write(ctx, fail) })
	}
	size, err := s.read(ctx, r)
	if err != nil {
		fail(err)
	}
	close(s.hashed)
	close(s.written)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	return Result{Size: size, SHA256: hex.EncodeToString(s.sum.Sum(nil)), More: s.ahead != nil}, nil
}

// read cuts r into parts and hands each to hash and to write.
func (s *stream) read(ctx context.Context, r io.Reader) (size int64, err error) {
	for number := 1; ; number++ {
		p, err := s.next(ctx, r)
		if err != nil {
			return size, err
		}
		if p == nil && size == 0 {
			return 0, ErrEmpty
		}
		if p == nil {
			return size, nil
		}
		if s.options.maxParts > 0 && number > s.options.maxParts {
			s.ahead = p // of the next object
			return size, nil
		}
		p.number, p.offset = number, size
		p.users.Store(2)
		size += int64(len(p.data))
		s.hashed <- p // never full: it has room for every buffer
		s.written <- p
	}
}

// next returns the next part of r, or nil at its end.
func (s *stream) next(ctx context.Context, r io.Reader) (p *part, err error) {
	if p = s.ahead; p != nil {
		s.ahead = nil
		return p, nil
	}
	if s.ended {
		s.ended = false // what follows is another stream
		return nil, nil
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case p = <-s.free:
	}
	if p.buffer == nil {
		p.buffer = make([]byte, s.options.PartSize)
	}
	n, err := fill(r, p.buffer)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("its source failed: %w", err)
	}
	if n == 0 {
		s.free <- p
		return nil, nil
	}
	s.ended = err == io.EOF
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

func (s *stream) hash() {
	for p := range s.hashed {
		s.sum.Write(p.data)
		s.release(p)
	}
}

func (s *stream) write(ctx context.Context, fail context.CancelCauseFunc) {
	for p := range s.written {
		if ctx.Err() != nil {
			continue
		}
		if err := s.writePart(ctx, p); err != nil {
			// The part is not released: a call that hangs may still read it.
			fail(err)
			continue
		}
		s.progress(int64(len(p.data)))
		s.release(p)
	}
}

// writePart writes a part, again after errors that may pass.
func (s *stream) writePart(ctx context.Context, p *part) error {
	if err := s.pace.wait(ctx, len(p.data)); err != nil {
		return err
	}
	tried := false
	return bounded(ctx, s.options.StallTimeout, func(ctx context.Context) error {
		return s.options.Backoff.Retry(ctx, func(ctx context.Context) error {
			if tried {
				s.pace.book(len(p.data))
			}
			tried = true
			return s.writer.WritePart(ctx, p.number, p.offset, p.data)
		})
	})
}

func (s *stream) release(p *part) {
	if p.users.Add(-1) == 0 {
		s.free <- p
	}
}
