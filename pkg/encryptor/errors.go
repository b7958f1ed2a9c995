package encryptor

import (
	"errors"
	"fmt"
	"io"
)

// Errors that a [Reader], [NewReader] and [ReadHeader] return, wrapped with what
// exactly was found. Any other error comes from the source that was read.
var (
	// ErrTruncated says that the file ends before its last chunk.
	ErrTruncated = errors.New("truncated")
	// ErrDamaged says that the file is not what was sealed: bytes were changed,
	// added, exchanged or, in a way that looks like it, cut.
	ErrDamaged = errors.New("damaged")
	// ErrWrongKey says that the file was not sealed for this private key.
	ErrWrongKey = errors.New("wrong private key")
	// ErrUnsupported says that a later version of the format is needed.
	ErrUnsupported = errors.New("unsupported version")
	// ErrNotDbacked says that the file is none of this format.
	ErrNotDbacked = errors.New("not a dbacked file")
)

// ErrPassphrase says that a private key is encrypted and that the passphrase
// does not open it, or that none was given.
var ErrPassphrase = errors.New("wrong passphrase")

// errClosed is what a Writer or a Reader says after Close.
var errClosed = errors.New("encryptor: used after close")

// readFull fills buf. It returns io.EOF if the source ends first, with the
// number of bytes there were, so that the end of the source is never confused
// with an error that the source reports (io.ErrUnexpectedEOF of a connection
// that was cut, for one).
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if n == len(buf) {
			return n, nil
		}
		if err == io.EOF {
			return n, io.EOF
		}
		if err != nil {
			return n, fmt.Errorf("read encrypted file: %w", err)
		}
	}
	return n, nil
}
