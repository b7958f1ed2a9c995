package encryptor

// direct seals whole chunks straight from p, which saves a fifth of the time
// that sealing takes. As p goes back to the caller it has to wait for them, so it
// is for a p that keeps all workers busy.
//
// Whether the last chunk of p is the file's last is not known yet, and p will be
// gone when it is: that chunk is sealed as one that is not, and held back. If
// nothing follows, finish opens and seals it again. What was held leaves the
// machine only once, under one of its two nonces.
func (s *streamSealer) direct(p []byte) (n int, err error) {
	if len(p) < s.workers*chunkSize || !s.aligned() {
		return 0, nil
	}
	defer s.borrowed.Wait()
	if s.current != nil && s.current.n == chunkSize {
		if err := s.send(s.current); err != nil {
			return 0, err
		}
		s.current = nil
	}
	for len(p)-n >= chunkSize {
		if err := s.sealFrom(p[n:n+chunkSize], len(p)-n >= 2*chunkSize); err != nil {
			return n, err
		}
		n += chunkSize
	}
	return n, nil
}

// aligned tells whether the next byte begins a chunk.
func (s *streamSealer) aligned() bool {
	return s.current == nil || s.current.n == 0 || s.current.n == chunkSize
}

// sealFrom seals a chunk from the caller's memory and holds it, in a goroutine of
// its own if there is more to do meanwhile.
func (s *streamSealer) sealFrom(plain []byte, more bool) error {
	s.release()
	c, err := s.take()
	if err != nil {
		return err
	}
	index, err := s.nextIndex()
	if err != nil {
		return err
	}
	s.held = c
	work := func() { c.sealed <- s.stream.seal(c.buf[:0], plain, index, false) }
	if more {
		s.borrowed.Go(work)
	} else {
		work()
	}
	return nil
}

// release has the held chunk written: something follows it.
func (s *streamSealer) release() {
	if s.held != nil {
		s.enqueue(s.held)
		s.held = nil
	}
}

// unseal makes the held chunk the current one, to be sealed again as the last.
func (s *streamSealer) unseal() {
	c := s.held
	s.held = nil
	s.index--
	sealed := <-c.sealed
	plain, err := s.stream.open(c.buf[:0], sealed, s.index, false)
	if err != nil {
		s.failure.set(err) // only broken memory can do that
	}
	c.n = len(plain)
	s.current = c
}
