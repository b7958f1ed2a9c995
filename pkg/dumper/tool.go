package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
)

const (
	pipeSize   = 1 << 20           // of the pipe between a tool and this process
	copySize   = 128 << 10         // read or written at a time: a block of zstd, and it stays in a core's own cache
	lowPipe    = 64 << 10          // a read of less found the pipe nearly empty,
	pipeNap    = time.Millisecond  // which fills while its reader does not ask: fewer, larger reads
	stderrTail = 4 << 10           // bytes of a tool's standard error that are kept
	killGrace  = 5 * time.Second   // between SIGTERM and SIGKILL, where no limit is set
	secretFile = "/proc/self/fd/3" // where a tool finds its secret
)

// tool is one run of a database's own program. It dies with this process.
type tool struct {
	path string
	args []string
	env  []string // the whole environment: nothing is inherited

	// secret is what the tool reads from secretFile: an anonymous file in
	// memory that only it and its children hold, so that a password is neither
	// on a command line, nor in an environment, nor on a disk.
	secret []byte

	// file is what the tool finds under filePath, or nil.
	file *os.File

	// password is struck out of what is kept of the tool's standard error.
	password string

	// stop is how long the tool may take to end after SIGTERM; 0: killGrace.
	stop time.Duration

	// stall is how long the tool may keep this process waiting for a byte.
	// Waiting for the other neighbour does not count. 0: for ever.
	stall time.Duration

	// busy is asked, when an input tool takes nothing for the time of stall,
	// whether the server is at work for it (an index, a lock within its own
	// limit); nil says that it is. Without it, a stall is an error.
	busy func(ctx context.Context) error

	// warned is told what the tool said on its standard error though it ended
	// well, if that is anything; it may be nil.
	warned func(text string)
}

// filePath is where the tool finds its file: behind its secret, if it has one.
func (t *tool) filePath() string {
	if t.secret != nil {
		return "/proc/self/fd/4"
	}
	return "/proc/self/fd/3"
}

func (t *tool) grace() time.Duration {
	if t.stop > 0 {
		return t.stop
	}
	return killGrace
}

// name is what people call the tool.
func (t *tool) name() string { return filepath.Base(t.path) }

// output runs the tool and copies what it writes to w. It returns nil only if
// the tool exited with status 0 and all of its output was taken. When several
// things fail it reports the one that came first.
func (t *tool) output(ctx context.Context, w io.Writer) error {
	r, stdout, err := pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := t.start(ctx, nil, stdout)
	stdout.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Unix(1, 0)); p.End() })
	defer stop()

	err = t.drain(ctx, w, r)
	switch {
	case ctx.Err() != nil:
		p.End()
		return context.Cause(ctx)
	case err != nil:
		p.End()
		return err
	}
	return t.finish(ctx, p)
}

// drain copies r to w until r ends, in pieces of copySize: the tools write 4 KiB
// at a time, and the stages that follow do better with more.
func (t *tool) drain(ctx context.Context, w io.Writer, r *os.File) error {
	buf := make([]byte, copySize)
	for n := 0; ; {
		if t.stall > 0 && ctx.Err() == nil {
			r.SetReadDeadline(time.Now().Add(t.stall))
		}
		got, err := r.Read(buf[n:])
		n += got
		if err == nil && got < lowPipe {
			time.Sleep(pipeNap)
		}
		if n == len(buf) || err != nil && n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
			n = 0
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &StallError{Tool: t.name(), Limit: t.stall}
		case err != nil:
			return fmt.Errorf("reading from %s: %w", t.name(), err)
		}
	}
}

// input runs the tool and feeds it r. The tool sees the end of its input only
// when r ended with io.EOF: on any other error it is killed first, since a tool
// that sees its input end takes that for the end of the data, and commits.
// What it writes to its standard output goes to w.
func (t *tool) input(ctx context.Context, r io.Reader, w io.Writer) error {
	stdin, feed, err := pipe()
	if err != nil {
		return err
	}
	defer feed.Close()
	p, err := t.start(ctx, stdin, w)
	stdin.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { feed.SetWriteDeadline(time.Unix(1, 0)); p.Kill() })
	defer stop()

	err = t.fill(ctx, feed, r)
	switch {
	case ctx.Err() != nil:
		p.Kill()
		return context.Cause(ctx)
	case errors.Is(err, syscall.EPIPE):
		// The tool went away before its input ended: its exit says why.
		if werr := t.wait(p); werr != nil {
			return werr
		}
		return &ExitError{Tool: t.name(), Stderr: "it ended before it had read all of its input"}
	case err != nil:
		p.Kill()
		return err
	}
	if err := feed.Close(); err != nil {
		p.Kill()
		return fmt.Errorf("closing the input of %s: %w", t.name(), err)
	}
	return t.finish(ctx, p)
}

// fill copies r to the tool until r ends.
func (t *tool) fill(ctx context.Context, feed *os.File, r io.Reader) error {
	buf := make([]byte, copySize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := t.feed(ctx, feed, buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// feed writes p to the tool, however long that takes while the server is busy.
func (t *tool) feed(ctx context.Context, feed *os.File, p []byte) error {
	for len(p) > 0 {
		if t.stall > 0 && ctx.Err() == nil {
			feed.SetWriteDeadline(time.Now().Add(t.stall))
		}
		n, err := feed.Write(p)
		p = p[n:]
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if n == 0 {
				if err := t.stalled(ctx); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("writing to %s: %w", t.name(), err)
		}
	}
	return nil
}

// finish waits for a tool that has all of its input, or has closed its output.
// One that ended well before it was told to stop has ended well.
func (t *tool) finish(ctx context.Context, p *process.Process) error {
	var tick <-chan time.Time
	if t.stall > 0 {
		ticker := time.NewTicker(t.stall)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-p.Done():
			err := t.wait(p)
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case <-tick:
			if err := t.stalled(ctx); err != nil {
				p.Kill()
				return err
			}
		}
	}
}

func (t *tool) stalled(ctx context.Context) error {
	if t.busy != nil {
		return t.busy(ctx)
	}
	return &StallError{Tool: t.name(), Limit: t.stall}
}

// capture runs the tool and returns what it writes, up to limit bytes.
func (t *tool) capture(ctx context.Context, limit int) ([]byte, error) {
	out := &process.Output{Limit: limit}
	if err := t.output(ctx, out); err != nil {
		return nil, err
	}
	return out.Bytes()
}
