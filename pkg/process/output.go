package process

import (
	"bytes"
	"fmt"
	"sync"
)

// Output takes all that a program writes, up to a limit: more is an error, which
// ends the program's writing. It is no bytes.Buffer, whose ReadFrom would be called
// past Write and know no limit.
type Output struct {
	Limit int

	buf  bytes.Buffer
	over error
}

func (o *Output) Write(p []byte) (int, error) {
	if o.over == nil && o.buf.Len()+len(p) > o.Limit {
		o.over = fmt.Errorf("more than %d bytes of output", o.Limit)
	}
	if o.over != nil {
		return 0, o.over
	}
	return o.buf.Write(p)
}

// Bytes are what was written, or the error if that was too much. It is called when
// the program has ended.
func (o *Output) Bytes() ([]byte, error) { return o.buf.Bytes(), o.over }

// tail keeps the end of what is written to it.
type tail struct {
	limit int

	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
