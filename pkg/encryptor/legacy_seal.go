package encryptor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"io"
)

// cbcBufferSize is how much of a legacy file is handled at once, a multiple of
// the cipher's block.
const cbcBufferSize = 64 << 10

// cbcSealer writes version 0's payload: AES-256-CBC with PKCS#7 padding.
type cbcSealer struct {
	w       io.Writer
	mode    cipher.BlockMode
	failure *failure
	pending []byte // the header, until the first output
	buf     []byte
	n       int
}

func newCBCSealer(w io.Writer, h header, fileKey []byte, f *failure) (*cbcSealer, error) {
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, err
	}
	return &cbcSealer{
		w: w, failure: f, pending: h.raw,
		mode: cipher.NewCBCEncrypter(block, h.iv()),
		buf:  make([]byte, cbcBufferSize, cbcBufferSize+aes.BlockSize),
	}, nil
}

// direct does nothing: a chained cipher gains nothing by it.
func (s *cbcSealer) direct([]byte) (int, error) { return 0, nil }

func (s *cbcSealer) room() ([]byte, error) { return s.buf[s.n:], nil }

func (s *cbcSealer) filled(n int) error {
	if s.n += n; s.n < len(s.buf) {
		return nil
	}
	s.n = 0
	return s.write(s.buf)
}

func (s *cbcSealer) finish() error {
	pad := aes.BlockSize - s.n%aes.BlockSize
	return s.write(append(s.buf[:s.n], bytes.Repeat([]byte{byte(pad)}, pad)...))
}

// write encrypts whole blocks in place and writes them.
func (s *cbcSealer) write(p []byte) error {
	s.mode.CryptBlocks(p, p)
	if s.pending != nil {
		if err := writeAll(s.w, s.pending); err != nil {
			s.failure.set(err)
			return err
		}
		s.pending = nil
	}
	if err := writeAll(s.w, p); err != nil {
		s.failure.set(err)
		return err
	}
	return nil
}
