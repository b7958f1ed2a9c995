package encryptor

import (
	"fmt"
	"io"
)

// drain writes the header, then the chunks in order, until the last or until the
// Writer fails. It is the only goroutine that writes.
func (s *streamSealer) drain() {
	defer close(s.drained)
	if err := writeAll(s.w, s.stream.header.raw); err != nil {
		s.failure.set(err)
		return
	}
	for {
		select {
		case c := <-s.queue:
			if done := s.write(c); done {
				return
			}
			s.free <- c
		case <-s.failure.done:
			return
		}
	}
}

func (s *streamSealer) write(c *chunk) (done bool) {
	sealed := <-c.sealed
	if s.failure.get() != nil {
		return true
	}
	if err := writeAll(s.w, sealed); err != nil {
		s.failure.set(err)
		return true
	}
	return c.last
}

func writeAll(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write encrypted file: %w", err)
	}
	return nil
}
