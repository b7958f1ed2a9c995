package dumper

import (
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
	cmd.Env = buffered(t.env)
	cmd.Stdout, cmd.Stderr = stdout, p.stderr
	if stdin != nil { // a nil *os.File in the interface would not be nil
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = t.grace() // a grandchild that holds stderr open must not hold us
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
		case <-time.After(p.tool.grace()):
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
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
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
