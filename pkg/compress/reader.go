package compress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrDamaged says that a stream does not decompress, is cut, or goes on after
// its end.
var ErrDamaged = errors.New("damaged")

var errClosed = errors.New("compress: read after close")

const (
	// maxWindow bounds what a hostile frame can make the decoder allocate.
	maxWindow = 8 << 20

	peekSize = 256 << 10 // of the buffer before a decoder
)

var (
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	gzipMagic = []byte{0x1f, 0x8b}
)

// Reader decompresses one stream: zstd and gzip are told by their first bytes,
// anything else is passed on as it is.
type Reader struct {
	plain  io.Reader
	source *failing
	rest   *bufio.Reader // what follows the frame; nil where there is none
	close  func()
	err    error // what reading ended with
}

// NewReader returns a Reader of r. Close must be called; it does not close r.
func NewReader(r io.Reader) (*Reader, error) {
	source := &failing{r: r}
	buffered := bufio.NewReaderSize(source, peekSize)
	head, err := buffered.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.Equal(head, zstdMagic):
		return newZstd(source, buffered)
	case bytes.HasPrefix(head, gzipMagic):
		return newGzip(source, buffered)
	}
	return &Reader{plain: buffered, source: source, close: func() {}}, nil
}

func newGzip(source *failing, buffered *bufio.Reader) (*Reader, error) {
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, source.cause(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	z.Multistream(false)
	return &Reader{plain: z, source: source, rest: buffered, close: func() { _ = z.Close() }}, nil
}

func newZstd(source *failing, buffered *bufio.Reader) (*Reader, error) {
	// One decoder works in the caller's goroutine: it decodes three to four times
	// what a database takes in, and more of them only add goroutines and copies.
	frame := &oneFrame{r: buffered}
	z, err := zstd.NewReader(frame, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, source.cause(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	return &Reader{plain: z, source: source, rest: buffered, close: z.Close}, nil
}

// Read returns io.EOF only after a whole stream that nothing follows.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.plain.Read(p)
	if err == nil {
		return n, nil
	}
	r.err = r.end(err)
	return n, r.err
}

// WriteTo writes all that is left to w, a block at a time as it was compressed.
// It returns nil only after a whole stream that nothing follows.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	if r.err != nil {
		return 0, notEOF(r.err)
	}
	to := &sink{w: w}
	n, err := io.Copy(to, r.plain)
	switch {
	case to.err != nil:
		r.err = to.err
	case err != nil:
		r.err = r.end(err)
	default:
		r.err = r.end(io.EOF)
	}
	return n, notEOF(r.err)
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// end says what reading ends with: an error of the source goes before what it
// made of the decoder.
func (r *Reader) end(err error) error {
	if r.source.err != nil {
		return r.source.err
	}
	if r.rest == nil {
		return err
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if _, err := r.rest.Peek(1); err == nil {
		return fmt.Errorf("%w: data follows the end of the compressed stream", ErrDamaged)
	}
	if r.source.err != nil {
		return r.source.err
	}
	return io.EOF
}

// Close frees what the Reader holds; nothing can be read after it.
func (r *Reader) Close() error {
	r.close()
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}

// sink remembers the error of a writer, to tell it from the stream's.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	s.err = err
	return n, err
}

// failing remembers the error that its source ended with.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// cause is the source's error if it had one, else err.
func (f *failing) cause(err error) error {
	if f.err != nil {
		return f.err
	}
	return err
}
