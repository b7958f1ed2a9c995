package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pipeSize   = 1 << 20           // of the pipe between a tool and this process
	copySize   = 256 << 10         // read or written at a time
	lowPipe    = 64 << 10          // a read of less found the pipe nearly empty,
	pipeNap    = time.Millisecond  // which fills while its reader does not ask: fewer, larger reads
	killGrace  = 5 * time.Second   // between SIGTERM and SIGKILL
	secretFile = "/proc/self/fd/3" // where a tool finds its secret
)

// tool is one run of a database's own program.
//
// The program gets a group of its own, so that a Ctrl-C meant for dbacked does
// not race with the clean end that dbacked gives it, and dies with this process.
type tool struct {
	path string
	args []string
	env  []string // the whole environment: nothing is inherited

	// secret is what the tool reads from secretFile: an anonymous file in
	// memory that only it and its children hold, so that a password is neither
	// on a command line, nor in an environment, nor on a disk.
	secret []byte

	// password is struck out of what is kept of the tool's standard error.
	password string

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
	stop := context.AfterFunc(ctx, func() { p.end(); r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	err = t.drain(ctx, w, r)
	switch {
	case ctx.Err() != nil:
		p.end()
		_ = p.wait() // the first cause is known
		return context.Cause(ctx)
	case err != nil:
		p.end()
		_ = p.wait() // the first cause is known
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
	stop := context.AfterFunc(ctx, func() { p.kill(); feed.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()

	err = t.fill(ctx, feed, r)
	switch {
	case ctx.Err() != nil:
		p.kill()
		_ = p.wait() // the first cause is known
		return context.Cause(ctx)
	case errors.Is(err, syscall.EPIPE):
		// The tool went away before its input ended: its exit says why.
		if werr := p.wait(); werr != nil {
			return werr
		}
		return &ExitError{Tool: t.name(), Stderr: "it ended before it had read all of its input"}
	case err != nil:
		p.kill()
		_ = p.wait() // the first cause is known
		return err
	}
	if err := feed.Close(); err != nil {
		p.kill()
		_ = p.wait() // the first cause is known
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
func (t *tool) finish(ctx context.Context, p *process) error {
	var tick <-chan time.Time
	if t.stall > 0 {
		ticker := time.NewTicker(t.stall)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-p.done:
			err := p.wait()
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case <-tick:
			if err := t.stalled(ctx); err != nil {
				p.kill()
				_ = p.wait() // the first cause is known
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
	b := &bounded{limit: limit}
	if err := t.output(ctx, b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// bounded is a buffer that refuses to grow past its limit.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, fmt.Errorf("more than %d bytes of output", b.limit)
	}
	return b.Buffer.Write(p)
}

// process is a tool that runs.
type process struct {
	tool   *tool
	pid    int
	stderr *tail
	done   chan struct{} // closed when the process has ended
	err    error         // what it ended with; read it after done
}

// start runs the tool; stdin may be nil.
func (t *tool) start(ctx context.Context, stdin *os.File, stdout io.Writer) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	p := &process{tool: t, stderr: &tail{limit: stderrTail}, done: make(chan struct{})}
	cmd := exec.Command(t.path, t.args...)
	cmd.Env = t.env
	cmd.Stdout, cmd.Stderr = stdout, p.stderr
	if stdin != nil { // a nil *os.File in the interface would not be nil
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = killGrace // a grandchild that holds stderr open must not hold us
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if t.secret != nil {
		f, err := memfile(t.secret)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}

	started := make(chan error)
	go func() {
		// Pdeathsig is sent when the thread that forked ends: hold it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			// What the program leaves behind ends with it. While it is not
			// collected, nobody else can have its number.
			awaitExit(p.pid)
			syscall.Kill(-p.pid, syscall.SIGKILL)
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", t.path, err)
	}
	return p, nil
}

// awaitExit waits for the end of a child without collecting it.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// wait returns how the process ended: nil, or an *ExitError.
func (p *process) wait() error {
	<-p.done
	if p.err == nil {
		if text := p.stderr.text(p.tool.password); text != "" && p.tool.warned != nil {
			p.tool.warned(text)
		}
		return nil
	}
	e := &ExitError{Tool: p.tool.name(), Stderr: p.stderr.text(p.tool.password)}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		e.Code = -1
		e.Stderr = p.err.Error()
		return e
	}
	e.Code = exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal()
	}
	return e
}

// kill ends the process and its children at once.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// end asks the process to end, and makes it end when it does not.
func (p *process) end() {
	p.signal(syscall.SIGTERM)
	go func() {
		select {
		case <-p.done:
		case <-time.After(killGrace):
			p.kill()
		}
	}()
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // the number may be another process's by now
	default:
		syscall.Kill(-p.pid, sig)
	}
}

// pipe is os.Pipe with room for more than 64 KiB, which saves the two sides
// many switches.
func pipe() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if raw, err := r.SyscallConn(); err == nil {
		// A limit below this size only costs speed.
		_ = raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
	return r, w, nil
}

// memfile returns an anonymous file in memory that holds b.
func memfile(b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("dbacked", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("keeping a secret in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:dbacked")
	err = f.Chmod(0o600) // libpq refuses one that others could read
	if err == nil {
		_, err = f.Write(b)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("keeping a secret in memory: %w", err)
	}
	return f, nil
}
