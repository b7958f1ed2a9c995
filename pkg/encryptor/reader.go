package encryptor

import (
	"crypto/rsa"
	"errors"
	"io"
)

// Reader decrypts a file. It is not safe for use by several goroutines at once.
//
// It works on the caller's goroutine and holds one buffer of 1 MiB: opening is
// several times faster than any decompression that follows it.
type Reader struct {
	format Format
	opener opener
	rest   []byte // opened, not yet read
	err    error  // sticky; reported once rest is empty
}

// opener is the reading side of a format.
type opener interface {
	// next returns the plaintext that follows, valid until it is called again,
	// or io.EOF at an end that is proved as far as the format can prove it.
	next() ([]byte, error)
}

// NewReader reads the header of a file and finds its key. Errors are those of
// the package; see ErrTruncated.
func NewReader(r io.Reader, key *rsa.PrivateKey) (*Reader, error) {
	if key == nil {
		return nil, errors.New("no private key to decrypt with: give one")
	}
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	fileKey, err := unwrapKey(h, key)
	if err != nil {
		return nil, err
	}
	o, err := newOpener(r, h, fileKey)
	if err != nil {
		return nil, err
	}
	return &Reader{format: h.format, opener: o}, nil
}

func newOpener(r io.Reader, h header, fileKey []byte) (opener, error) {
	if h.format == Legacy {
		return newCBCOpener(r, h, fileKey)
	}
	return newStreamOpener(r, h, fileKey)
}

// Format returns the file's format. What is read of a Legacy file is not
// authenticated, whatever the error at its end.
func (r *Reader) Format() Format { return r.format }

// Read returns plaintext that has been authenticated, and io.EOF only at the
// proved end of the file. After any error it returns that same error.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes the rest of the plaintext to w, without a copy in between. It
// returns nil only at the proved end of the file. After an error of w nothing
// more can be read.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if err := r.fill(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		k, err := w.Write(r.rest)
		n += int64(k)
		if err == nil && k < len(r.rest) {
			err = io.ErrShortWrite
		}
		r.rest = nil
		if err != nil {
			r.err = err
			return n, err
		}
	}
}

// Close frees the Reader's memory; nothing can be read after it. It does not
// close the reader below, and says nothing about what has not been read.
func (r *Reader) Close() error {
	r.rest, r.opener = nil, nil
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}

// fill returns nil when there is plaintext to hand out.
func (r *Reader) fill() error {
	for len(r.rest) == 0 && r.err == nil {
		r.rest, r.err = r.opener.next()
	}
	if len(r.rest) > 0 {
		return nil
	}
	return r.err
}

// blocks cuts a source into blocks of one size and tells the last one, for which
// it reads one byte ahead.
type blocks struct {
	r    io.Reader
	buf  []byte // one block, and the first byte of the next
	more bool   // that byte has been read
}

func newBlocks(r io.Reader, size int) blocks {
	return blocks{r: r, buf: make([]byte, size+1)}
}

// next returns a block, valid until the next call: whole, unless it is the last.
func (b *blocks) next() (block []byte, last bool, err error) {
	size, n := len(b.buf)-1, 0
	if b.more {
		b.buf[0] = b.buf[size]
		n = 1
	}
	k, err := readFull(b.r, b.buf[n:])
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	b.more = err == nil
	return b.buf[:min(n+k, size)], !b.more, nil
}
