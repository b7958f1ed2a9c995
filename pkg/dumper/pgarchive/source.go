package pgarchive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errEnd says that the input ended where more was due.
var errEnd = errors.New("end of input")

// source reads the numbers and strings of an archive from pieces of input.
type source struct {
	p    []byte      // what is left of the current piece
	more func() bool // waits for the next piece; false at the end of input
	end  bool        // no piece will come
	read int64       // bytes of the pieces before the current one

	intSize    int // bytes of an integer, without its sign
	offsetSize int // bytes of a file offset
}

// total is how much input there was. It is right at the end of input only.
func (s *source) total() int64 { return s.read }

// fill makes sure that there is a byte to read.
func (s *source) fill() error {
	for len(s.p) == 0 {
		if !s.more() {
			return errEnd
		}
	}
	return nil
}

func (s *source) byte() (byte, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	b := s.p[0]
	s.p = s.p[1:]
	return b, nil
}

// full reads len(b) bytes.
func (s *source) full(b []byte) error {
	for len(b) > 0 {
		if err := s.fill(); err != nil {
			return err
		}
		n := copy(b, s.p)
		b, s.p = b[n:], s.p[n:]
	}
	return nil
}

// skip passes over n bytes.
func (s *source) skip(n int64) error {
	for n > int64(len(s.p)) {
		n -= int64(len(s.p))
		s.p = nil
		if err := s.fill(); err != nil {
			return err
		}
	}
	s.p = s.p[n:]
	return nil
}

// int reads an integer: a byte with the sign, then the amount, lowest byte first.
func (s *source) int() (int64, error) {
	var b [9]byte
	if err := s.full(b[:1+s.intSize]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b[1:])
	if n > 1<<32 || b[0] > 1 {
		return 0, fmt.Errorf("%w: a number is out of range", ErrDamaged)
	}
	if b[0] == 1 {
		return -int64(n), nil
	}
	return int64(n), nil
}

// ints passes over n integers.
func (s *source) ints(n int) error {
	for range n {
		if _, err := s.int(); err != nil {
			return err
		}
	}
	return nil
}

// string reads a string and keeps up to limit bytes of it. null says that there
// was none.
func (s *source) string(limit int) (text string, null bool, err error) {
	n, err := s.int()
	if err != nil || n < 0 {
		return "", true, err
	}
	keep := min(n, int64(limit))
	if keep > 0 && keep <= int64(len(s.p)) { // no need for a buffer
		text = string(s.p[:keep])
		return text, false, s.skip(n)
	}
	var b []byte
	for len(b) < int(keep) {
		if err := s.fill(); err != nil {
			return "", false, err
		}
		// The buffer grows with what has come, not with what was announced.
		piece := s.p[:min(len(s.p), int(keep)-len(b))]
		b, s.p = append(b, piece...), s.p[len(piece):]
	}
	return string(b), false, s.skip(n - keep)
}

// strings passes over n strings.
func (s *source) strings(n int) error {
	for range n {
		if _, _, err := s.string(0); err != nil {
			return err
		}
	}
	return nil
}
