// Package process runs an external program, and ends it with all that it started.
//
// The program gets a process group of its own, so that a Ctrl-C meant for this
// process does not race with the clean end that the program is given. When it has
// ended, what it left behind in its group is killed; when this process dies, in
// whatever way, the kernel sends the program [Command.OnDeath].
//
//	p, err := process.Start(process.Command{Path: path, Args: args, Env: environ, Stdout: w, Grace: 5 * time.Second, Tail: 4 << 10, OnDeath: syscall.SIGKILL})
//	if err != nil {
//		return err
//	}
//	stop := context.AfterFunc(ctx, p.End)
//	defer stop()
//	return p.Wait() // nil, or an *ExitError
//
// How long a program may move nothing is for the caller to say, who alone knows
// when it has anything to move: [Process.Done] is for its select.
package process

import (
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

// Command says what is run, and how.
type Command struct {
	Path   string
	Args   []string   // without the program's own name
	Env    []string   // the whole environment: nothing is inherited
	Stdin  *os.File   // nil: there is nothing to read
	Stdout io.Writer  // nil: it is thrown away
	Files  []*os.File // what the program finds as its descriptors 3, 4, …

	// Grace is what the program has to end by itself when it is asked to, and
	// how long what it started may hold its output open after its end.
	Grace time.Duration
	// OnDeath is the signal that the program gets when this process dies.
	OnDeath syscall.Signal

	// Tail is how many bytes are kept of the end of its standard error.
	Tail int
	// Clean makes these fit for people, without secrets; nil leaves them as
	// they are.
	Clean func(text string) string
}

// Process is a program that was started. Its methods may be called from several
// goroutines.
type Process struct {
	command Command
	pid     int
	stderr  tail
	done    chan struct{} // closed when the process has ended
	err     error         // what it ended with; read it after done
}

// Start starts a program.
func Start(c Command) (*Process, error) {
	p := &Process{command: c, stderr: tail{limit: c.Tail}, done: make(chan struct{})}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append([]string{}, c.Env...) // nil would be this process's own
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.Stdout, &p.stderr, c.Files
	if c.Stdin != nil { // a nil *os.File in the interface would not be nil
		cmd.Stdin = c.Stdin
	}
	cmd.WaitDelay = c.Grace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: c.OnDeath}

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
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	return p, nil
}

// awaitExit waits for the end of a child without collecting it.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// Done is closed when the process has ended, and all of its output was taken.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns how the process ended: nil, or an *ExitError.
func (p *Process) Wait() error {
	<-p.done
	if p.err == nil {
		return nil
	}
	e := &ExitError{Tool: filepath.Base(p.command.Path), Stderr: p.Stderr()}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		e.Code, e.Stderr = -1, p.err.Error()
		return e
	}
	e.Code = exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal()
	}
	return e
}

// Stderr is the end of what the process said on its standard error so far.
func (p *Process) Stderr() string {
	text := p.stderr.String()
	if p.command.Clean != nil {
		return p.command.Clean(text)
	}
	return text
}

// End asks the process to end, and kills it when it does not in Command.Grace. It
// returns when it has ended.
func (p *Process) End() {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(p.command.Grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
}

// Kill ends the process and what it started at once. It returns when it has ended.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *Process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // the number may be another process's by now
	default:
		syscall.Kill(-p.pid, sig)
	}
}
