package encryptor

import (
	"errors"
	"io"
	"sync"
)

// streamSealer seals chunks, several at once, and writes them in order.
//
// A chunk goes round: free → current (filled by the caller's goroutine) → sealed
// in place by a goroutine of its own, and meanwhile in the queue → written by
// drain, which takes the queue in order → free. Their number is fixed, which
// bounds both memory and goroutines.
type streamSealer struct {
	stream  stream
	w       io.Writer
	workers int
	failure *failure

	current  *chunk
	held     *chunk // see direct; never there when current holds anything
	index    uint64 // of the next chunk to be sealed
	borrowed sync.WaitGroup
	free     chan *chunk
	queue    chan *chunk // room for all chunks, so sending never blocks
	drained  chan struct{}
}

// chunk is a buffer with room for a tag. Before it is sealed the tag's room can
// hold what follows the chunk: only then is it known that it is not the last.
type chunk struct {
	buf    []byte // chunkSize+tagSize, allocated at first use
	n      int
	last   bool
	sealed chan []byte // holds one
}

func newStreamSealer(w io.Writer, h header, fileKey []byte, workers int, f *failure) (*streamSealer, error) {
	st, err := newStream(h, fileKey)
	if err != nil {
		return nil, err
	}
	chunks := workers + 2 // one more is filled, and one written
	s := &streamSealer{
		stream: st, w: w, workers: workers, failure: f,
		free:  make(chan *chunk, chunks),
		queue: make(chan *chunk, chunks),
	}
	for range chunks {
		s.free <- &chunk{sealed: make(chan []byte, 1)}
	}
	return s, nil
}

func (s *streamSealer) room() ([]byte, error) {
	if s.current == nil {
		c, err := s.take()
		if err != nil {
			return nil, err
		}
		s.current = c
	}
	c := s.current
	if c.n < chunkSize {
		return c.buf[c.n:chunkSize], nil
	}
	return c.buf[chunkSize:], nil
}

func (s *streamSealer) filled(n int) error {
	if n == 0 {
		return nil
	}
	s.release()
	c := s.current
	c.n += n
	if c.n <= chunkSize {
		return nil
	}
	next, err := s.take()
	if err != nil {
		return err
	}
	next.n = copy(next.buf, c.buf[chunkSize:c.n])
	c.n = chunkSize
	s.current = next
	return s.send(c)
}

func (s *streamSealer) finish() error {
	if s.held != nil {
		s.unseal()
	}
	if _, err := s.room(); err != nil { // nothing was written: an empty last chunk
		return err
	}
	s.current.last = true
	if err := s.send(s.current); err != nil {
		return err
	}
	select {
	case <-s.drained:
		// The failure, if there is one, was set before drain ended.
		return s.failure.get()
	case <-s.failure.done:
		return s.failure.err
	}
}

// take waits for a free chunk.
func (s *streamSealer) take() (*chunk, error) {
	select {
	case c := <-s.free:
		if c.buf == nil {
			c.buf = make([]byte, chunkSize+tagSize)
		}
		c.n = 0
		return c, nil
	case <-s.failure.done:
		return nil, s.failure.err
	}
}

// send has a chunk sealed and written.
func (s *streamSealer) send(c *chunk) error {
	index, err := s.nextIndex()
	if err != nil {
		return err
	}
	go func() { c.sealed <- s.stream.seal(c.buf[:0], c.buf[:c.n], index, c.last) }()
	s.enqueue(c)
	return nil
}

func (s *streamSealer) nextIndex() (uint64, error) {
	if s.index > maxIndex {
		s.failure.set(errors.New("more than 4 PiB do not fit into one file: split what is sealed"))
		return 0, s.failure.err
	}
	s.index++
	return s.index - 1, nil
}

// enqueue has a chunk written once it is sealed.
func (s *streamSealer) enqueue(c *chunk) {
	if s.drained == nil {
		s.drained = make(chan struct{})
		go s.drain()
	}
	s.queue <- c
}
