package dumper

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrIncomplete says that a tool ended well but that what it wrote is not a
// complete dump.
var ErrIncomplete = errors.New("the dump is not complete")

// ErrWrongEngine says that what is to be restored is another engine's dump, or
// none at all. Nothing was written to the target.
var ErrWrongEngine = errors.New("not a dump of this engine")

// ExitError says that a tool failed.
type ExitError struct {
	Tool   string         // the program's name: "pg_dump"
	Code   int            // its exit status, -1 if it has none
	Signal syscall.Signal // what killed it, or 0
	Stderr string         // the end of what it said, without secrets
}

func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != 0 {
		how = fmt.Sprintf("killed by signal %d (%s)", int(e.Signal), e.Signal)
		if e.Signal == syscall.SIGKILL {
			how += "; the kernel does this when memory runs out: see dmesg"
		}
	}
	if e.Stderr == "" {
		return fmt.Sprintf("%s failed: %s", e.Tool, how)
	}
	return fmt.Sprintf("%s failed: %s: %s", e.Tool, how, e.Stderr)
}

// StallError says that a tool moved no byte for longer than the limit, while
// this process was ready for it.
type StallError struct {
	Tool  string
	Limit time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s moved no data for %s: see what its session waits for on the server, or raise DBACKED_STALL_TIMEOUT", e.Tool, e.Limit)
}

const stderrTail = 4 << 10 // bytes of a tool's standard error that are kept

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

// text is the end of what was written, with the password struck out: no tool is
// known to print it, and none shall.
func (t *tail) text(password string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.ToValidUTF8(string(t.buf), "?")
	if password != "" {
		s = strings.ReplaceAll(s, password, "[secret]")
	}
	return strings.TrimSpace(s)
}
