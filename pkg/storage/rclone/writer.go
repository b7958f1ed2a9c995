package rclone

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
	"github.com/dbacked/dbacked/pkg/storage"
)

var (
	errAborted   = errors.New("it was aborted")
	errCommitted = errors.New("it was committed before")
	errBroken    = errors.New("an earlier part was lost")
)

// writer is one object that is being written to a hidden file.
type writer struct {
	store  *Store
	traits *traits
	name   string
	temp   string // the hidden file's name

	mu      sync.Mutex
	turn    sync.Cond // a part was taken, or no more is
	busy    bool      // somebody uses run
	next    int       // the part that is taken next
	size    int64     // of the parts that were taken
	sum     hash.Hash // of them; nil where the remote keeps none
	begun   bool      // something may be there
	maybe   bool      // a Commit that failed may have made the object
	unsaid  bool      // the remote gives no checksum of the hidden file
	free    bool      // the name was free just before it was given, if unsaid
	ended   error     // why no more is taken
	over    bool      // nothing is left to do
	life    context.Context
	endLife context.CancelCauseFunc

	run  *process.Process
	pipe *os.File
}

// Create begins an object. It asks what the remote can do, once, and sends nothing
// yet. A name that is taken is seen by Commit.
func (s *Store) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	t, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	if !t.renames {
		return nil, s.cannotRename()
	}
	w := &writer{store: s, traits: t, name: name, temp: storage.HiddenName(name), next: 1, sum: t.newHash()}
	w.turn.L = &w.mu
	// Its own life, not that of the context: Abort ends the calls that go on.
	w.life, w.endLife = context.WithCancelCause(context.WithoutCancel(ctx))
	return w, nil
}

// WritePart hands a part over when those before it were.
func (w *writer) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	ctx, cancel := w.bind(ctx)
	defer cancel()
	if err := w.take(ctx, number, offset); err != nil {
		return err
	}
	var err error
	if w.traits.streams {
		err = w.feed(ctx, p)
	} else {
		err = w.whole(ctx, p)
	}
	return w.taken(p, err)
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

// take waits for the turn of a part; taken gives it on.
func (w *writer) take(ctx context.Context, number int, offset int64) error {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.turn.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for ctx.Err() == nil && w.ended == nil && number >= w.next && (w.busy || number > w.next) {
		w.turn.Wait()
	}
	what := func() string { return fmt.Sprintf("write part %d of %s", number, w.store.address(w.name)) }
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.ended != nil:
		return fmt.Errorf("%s: %w", what(), w.ended)
	case number < w.next:
		return fmt.Errorf("%s: it was taken before, and a stream cannot go back", what())
	case number > 1 && !w.traits.streams:
		return fmt.Errorf("%s: a file has one part in this remote", what())
	case offset != w.size:
		return fmt.Errorf("%s: it begins at byte %d, and those before it end at %d", what(), offset, w.size)
	}
	w.busy, w.begun = true, true
	return nil
}

// taken notes how it went with a part. After an error only the first can be
// written again.
func (w *writer) taken(p []byte, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	switch {
	case err == nil:
		w.next++
		w.size += int64(len(p))
		if w.sum != nil {
			_, _ = w.sum.Write(p)
		}
	case w.next > 1 && w.ended == nil:
		w.ended = errBroken
		if temporary, ok := errors.AsType[*storage.TemporaryError](err); ok {
			err = fmt.Errorf("%w (a stream cannot be taken up again where it broke off)", temporary.Err)
		}
	}
	w.turn.Broadcast()
	return err
}

// feed writes to the stream, which the first part begins.
func (w *writer) feed(ctx context.Context, p []byte) error {
	if w.run == nil {
		if err := w.begin("rcat", "--retries=1", "--buffer-size=0", w.store.target(w.temp)); err != nil {
			return err
		}
	}
	err := w.push(ctx, p)
	if err != nil {
		w.stop()
	}
	return err
}

// whole writes a file of one part, of a length that is known.
func (w *writer) whole(ctx context.Context, p []byte) error {
	if err := w.begin("rcat", "--retries=1", "--buffer-size=0", "--size="+strconv.Itoa(len(p)), w.store.target(w.temp)); err != nil {
		return err
	}
	err := w.push(ctx, p)
	if err == nil {
		err = w.close(ctx)
	}
	w.stop()
	return err
}

func (w *writer) begin(args ...string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	w.run, err = w.store.start(out, nil, args...)
	_ = out.Close()
	if err != nil {
		_ = in.Close()
		w.run = nil
		return err
	}
	w.pipe = in
	return nil
}

// push writes p to rclone; what keeps it from taking more is the error.
func (w *writer) push(ctx context.Context, p []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = w.pipe.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(p) > 0 {
		_ = w.pipe.SetWriteDeadline(time.Now().Add(w.store.options.Stall))
		if cause := context.Cause(ctx); cause != nil { // its deadline may just have been replaced
			return cause
		}
		n, err := w.pipe.Write(p)
		p = p[n:]
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if n == 0 {
				return w.failed(&stallError{limit: w.store.options.Stall})
			}
		case errors.Is(err, syscall.EPIPE):
			if err := wait(ctx, w.run, w.store.options.Stall); err != nil {
				return w.failed(err)
			}
			return fmt.Errorf("write %s: rclone ended before it had read all", w.store.address(w.name))
		default:
			return fmt.Errorf("write %s: %w", w.store.address(w.name), err)
		}
	}
	return nil
}

// close ends the stream, and waits until rclone has stored all of it.
func (w *writer) close(ctx context.Context) error {
	if err := w.pipe.Close(); err != nil {
		return fmt.Errorf("write %s: %w", w.store.address(w.name), err)
	}
	// As long as the caller bears: a remote may join what it has at the end.
	if err := wait(ctx, w.run, 0); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *writer) failed(err error) error { return w.store.failed("write", w.name, err) }

// stop ends the stream, which then is worth nothing if it had not ended.
func (w *writer) stop() {
	if w.run == nil {
		return
	}
	w.run.End()
	_ = w.pipe.Close() // not before: rclone would take that for the file's end
	w.run = nil
}

// checksum is what the remote should say of the hidden file, "" if it says nothing.
func (w *writer) checksum() string {
	if w.sum == nil {
		return ""
	}
	return hex.EncodeToString(w.sum.Sum(nil))
}

// Abort ends the stream and removes the hidden file, even after ctx has ended.
func (w *writer) Abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.store.options.Stall)
	defer cancel()
	w.endLife(errAborted) // whoever uses the stream lets go of it
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.busy {
		w.turn.Wait()
	}
	if w.over {
		return nil
	}
	w.ended = errAborted
	w.turn.Broadcast()
	w.stop()
	var err error
	if w.maybe {
		err = w.takeBack(ctx)
	}
	if w.begun {
		err = errors.Join(err, w.store.remove(ctx, w.temp))
	}
	w.over = err == nil
	return err
}

// takeBack removes the object if it is what this writer made.
func (w *writer) takeBack(ctx context.Context) error {
	e, err := w.store.stat(ctx, w.name, w.traits.hash)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !w.made(e):
		return nil
	}
	return w.store.remove(ctx, w.name)
}

// made says whether what is there is what was written. Where no checksum tells, it
// is if nothing was there just before.
func (w *writer) made(e entry) bool {
	if e.Size != w.size {
		return false
	}
	if w.unsaid {
		return w.free
	}
	return e.Hashes[w.traits.hash] == w.checksum()
}
