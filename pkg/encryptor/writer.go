package encryptor

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"runtime"
)

// maxDefaultWorkers bounds the memory that sealing takes on a machine with many
// cores: four seal several gigabytes a second, more than any dump brings.
const maxDefaultWorkers = 4

// WriterOptions says how a file is sealed. The zero value is right for most.
type WriterOptions struct {
	// Format is the format to write, V1 by default.
	Format Format
	// Workers is how many chunks are sealed at once. 0 means one for each core
	// that Go may use (GOMAXPROCS), at most 4. A Writer holds at most
	// Workers+2 buffers of 1 MiB. It has no effect in the legacy format.
	Workers int
}

// Writer encrypts what is written to it. Its methods are to be called from one
// goroutine, except Abort, which any may call.
type Writer struct {
	sealer   sealer
	failure  *failure
	closed   bool
	closeErr error
}

// sealer is the writing side of a format.
type sealer interface {
	// direct seals the start of p without a copy, where that is worth while, and
	// returns its length. It is done with p when it returns.
	direct(p []byte) (int, error)
	// room returns space for plaintext, never empty.
	room() ([]byte, error)
	// filled says that the first n bytes of room now hold plaintext.
	filled(n int) error
	// finish seals what is left and returns when all of it has been written.
	finish() error
}

// NewWriter returns a Writer that seals a file for all recipients, and writes it
// to w. Nothing is written to w before the first chunk is full or Close is
// called; w is written to by another goroutine, in order, a chunk at a time.
// Exactly one of Close and Abort should follow.
func NewWriter(w io.Writer, recipients []*rsa.PublicKey, o WriterOptions) (*Writer, error) {
	if o.Format != V1 && o.Format != Legacy {
		return nil, fmt.Errorf("unknown file format %d", int(o.Format))
	}
	if err := checkRecipients(o.Format, recipients); err != nil {
		return nil, err
	}
	fileKey := make([]byte, fileKeySize)
	if _, err := rand.Read(fileKey); err != nil {
		return nil, fmt.Errorf("make the file's key: %w", err)
	}
	field, err := wrapKey(o.Format, fileKey, recipients)
	if err != nil {
		return nil, err
	}
	h, err := newHeader(o.Format, field)
	if err != nil {
		return nil, err
	}
	f := &failure{done: make(chan struct{})}
	s, err := newSealer(w, h, fileKey, o, f)
	if err != nil {
		return nil, err
	}
	return &Writer{sealer: s, failure: f}, nil
}

func newSealer(w io.Writer, h header, fileKey []byte, o WriterOptions, f *failure) (sealer, error) {
	if o.Format == Legacy {
		return newCBCSealer(w, h, fileKey, f)
	}
	workers := o.Workers
	if workers <= 0 {
		workers = min(runtime.GOMAXPROCS(0), maxDefaultWorkers)
	}
	return newStreamSealer(w, h, fileKey, workers, f)
}

// Write encrypts p. It keeps no reference to it. A p of a chunk or more for each
// worker is sealed from where it is; a smaller one is copied, and sealed later.
func (w *Writer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k, err := w.writeSome(p[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w *Writer) writeSome(p []byte) (int, error) {
	if err := w.failure.get(); err != nil {
		return 0, err
	}
	if n, err := w.sealer.direct(p); n > 0 || err != nil {
		return n, err
	}
	room, err := w.sealer.room()
	if err != nil {
		return 0, err
	}
	n := copy(room, p)
	return n, w.sealer.filled(n)
}

// ReadFrom encrypts all of r, which it reads straight into the buffers that are
// then sealed in place. If r fails the Writer is aborted with r's error: Close
// does not seal then.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		if err := w.failure.get(); err != nil {
			return n, err
		}
		room, err := w.sealer.room()
		if err != nil {
			return n, err
		}
		k, readErr := r.Read(room)
		n += int64(k)
		if err := w.sealer.filled(k); err != nil {
			return n, err
		}
		if readErr == io.EOF {
			return n, nil
		}
		if readErr != nil {
			w.Abort(readErr)
			return n, readErr
		}
	}
}

// Close seals the last chunk and returns when everything has been written. Only
// when it returns nil is the file whole. It does not close the writer below.
// After Abort, or after an error, it writes nothing and returns that error.
func (w *Writer) Close() error {
	if w.closed {
		return w.closeErr
	}
	w.closed = true
	if w.closeErr = w.failure.get(); w.closeErr == nil {
		w.closeErr = w.sealer.finish()
	}
	w.failure.set(errClosed)
	return w.closeErr
}

// Abort ends the Writer without a last chunk, so that what was written so far
// never opens as a whole file. A Write or Close under way returns err. Abort
// does not wait: if the writer below is inside Write it ends when that returns.
// After Close, or a second time, it does nothing.
func (w *Writer) Abort(err error) {
	if err == nil {
		err = errClosed
	}
	w.failure.set(err)
}
