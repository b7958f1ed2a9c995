package rclone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is what rclone has to end what it began at the remote.
	grace = 10 * time.Second
	// stderrTail is what is kept of what it prints.
	stderrTail = 8 << 10
	// largestAnswer bounds a listing: some 300 000 objects.
	largestAnswer = 64 << 20
)

// process is one run of rclone. It ends with this process.
type process struct {
	pid    int
	stderr tail
	done   chan struct{} // closed when it has ended
	err    error         // what it ended with; read it after done
}

// start runs rclone; stdin may be nil.
func (s *Store) start(stdin *os.File, stdout io.Writer, args ...string) (*process, error) {
	p := &process{done: make(chan struct{})}
	cmd := exec.Command(s.program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.environ, stdout, &p.stderr, grace
	if stdin != nil { // a nil *os.File in the interface would not be nil
		cmd.Stdin = stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
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
			p.await()
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.program, err)
	}
	return p, nil
}

// await waits for the end without collecting the process, so that nobody else can
// have its number, and ends what it leaves behind (an ssh of its own).
func (p *process) await() {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	syscall.Kill(-p.pid, syscall.SIGKILL)
}

// end lets the process end what it began, and ends it when it does not. It
// returns when it has ended.
func (p *process) end() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.kill()
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // the number may be another process's by now
	default:
		syscall.Kill(-p.pid, sig)
	}
}

// wait returns what the process ended with. It is ended when ctx is over, or after
// limit, if that is not 0.
func (p *process) wait(ctx context.Context, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.done:
		return p.exit()
	case <-ctx.Done():
		p.end()
		return context.Cause(ctx)
	case <-late:
		p.kill()
		return &stallError{limit: limit}
	}
}

func (p *process) exit() error {
	if p.err == nil {
		return nil
	}
	e := &exitError{text: p.stderr.String()}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		e.code = exit.ExitCode()
	}
	if e.code <= 0 {
		e.text = p.err.Error()
	}
	return e
}

// run runs rclone for as long as Stall, and returns what it prints.
func (s *Store) run(ctx context.Context, args ...string) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var out bounded
	p, err := s.start(nil, &out, args...)
	if err != nil {
		return nil, err
	}
	err = p.wait(ctx, s.options.Stall)
	if stall, ok := errors.AsType[*stallError](err); ok {
		stall.final = true // who looks has waited long enough
	}
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// bounded is a buffer that refuses to grow past largestAnswer.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > largestAnswer {
		return 0, fmt.Errorf("more than %d bytes of output", largestAnswer)
	}
	return b.Buffer.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p)
	if over := t.Len() - stderrTail; over > 0 {
		t.Next(over)
	}
	return len(p), nil
}
