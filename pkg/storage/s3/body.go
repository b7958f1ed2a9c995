package s3

import (
	"bytes"
	"errors"
	"sync"
)

var errBodyClosed = errors.New("the request is over")

// body is a request's body that is let go of when the call returns, even if
// the connection still has a use for it: the caller may then change the bytes.
type body struct {
	mu     sync.Mutex
	reader *bytes.Reader
}

func newBody(p []byte) *body { return &body{reader: bytes.NewReader(p)} }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader == nil {
		return 0, errBodyClosed
	}
	return b.reader.Read(p)
}

// release waits for a Read that goes on.
func (b *body) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reader = nil
}
