package uploader

import (
	"context"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Stream is one stream on its way into the store. It is for one goroutine.
type Stream struct {
	up   *Uploader
	seat chan *part // its own part, when that is free; nil before it began

	// Between two of its objects:
	ahead *part // read, and not of the object that was committed
	ended bool  // it gave io.EOF
}

// Stream begins another stream. No more than [Options.Streams] go on at once:
// the next waits, in Upload, until one of them is over.
func (u *Uploader) Stream() *Stream { return &Stream{up: u} }

// Upload stores r under name, all of it or as much as the store takes as one
// object: then the result says More, and Upload is to be called again, with the
// same r and another name, until it does not. It returns nil only after the
// object is committed and the store says that it holds as many bytes as were
// sent of r. After an error no stream of this Uploader can begin another object:
// end them all.
//
// io.EOF is the only clean end of r; any other error of r aborts the upload. If
// the upload fails and r has a CloseWithError method (an [io.PipeReader] has),
// it is closed with the first cause, which frees its writer. Of any other r, a
// Read must end when ctx does, as Upload waits for it.
func (s *Stream) Upload(ctx context.Context, name string, r io.Reader) (Result, error) {
	if err := s.begin(ctx); err != nil {
		closeSource(r, err)
		return Result{}, err
	}
	result, err := s.upload(ctx, name, r)
	if err != nil {
		err = fmt.Errorf("upload %s to %s: %w", name, s.up.store, err)
		s.up.fail(err)
	}
	if !result.More {
		s.end(err)
	}
	return result, err
}

// begin waits until the stream may go on.
func (s *Stream) begin(ctx context.Context) error {
	if s.seat == nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case s.seat = <-s.up.seats:
		}
	}
	if err := s.up.broken(); err != nil {
		s.end(err)
		return err
	}
	return nil
}

// end lets another stream begin. After an error the own part may be in a call
// that hangs: the next has a new one.
func (s *Stream) end(err error) {
	seat := s.seat
	if s.seat = nil; err != nil {
		seat = newSeat()
	}
	s.up.seats <- seat
}

// take waits for a part. The own one comes first, so that a source that is slow
// holds none that another could use.
func (s *Stream) take(ctx context.Context) (p *part, err error) {
	select {
	case p = <-s.seat:
	default:
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case p = <-s.seat:
		case p = <-s.up.shared:
		}
	}
	if p.buffer == nil {
		p.buffer = make([]byte, s.up.options.PartSize)
	}
	return p, nil
}

func (s *Stream) upload(ctx context.Context, name string, r io.Reader) (Result, error) {
	var w storage.Writer
	err := bounded(ctx, s.up.options.StallTimeout, func(ctx context.Context) (err error) {
		w, err = s.up.store.Create(ctx, name)
		return err
	})
	if err != nil {
		closeSource(r, err)
		return Result{}, err
	}
	result, err := newTransfer(s, w).send(ctx, r)
	if err != nil {
		return Result{}, abort(ctx, w, err)
	}
	if err := s.commit(ctx, name, w, result.Size); err != nil {
		closeSource(r, err)
		return Result{}, err
	}
	return result, nil
}

// commit commits, and compares what the store says it holds with what was sent.
func (s *Stream) commit(ctx context.Context, name string, w storage.Writer, size int64) error {
	var object storage.Object
	err := bounded(ctx, s.up.options.StallTimeout, func(ctx context.Context) (err error) {
		object, err = w.Commit(ctx)
		return err
	})
	if err != nil {
		return abort(ctx, w, err)
	}
	if object.Size == size {
		return nil
	}
	err = fmt.Errorf("%w: %d bytes were sent and %d are there; it was removed: try again, and look at the store's health", ErrSize, size, object.Size)
	ctx = context.WithoutCancel(ctx)
	removeErr := bounded(ctx, abortLimit, func(ctx context.Context) error { return s.up.store.Remove(ctx, name) })
	return withSecond(err, removeErr)
}
