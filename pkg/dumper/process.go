package dumper

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/process"
)

// start runs the tool; stdin may be nil.
func (t *tool) start(ctx context.Context, stdin *os.File, stdout io.Writer) (*process.Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c := process.Command{
		Path: t.path, Args: t.args, Env: buffered(t.env), Stdin: stdin, Stdout: stdout,
		Grace: t.grace(), OnDeath: syscall.SIGKILL, Tail: stderrTail, Clean: t.clean,
	}
	if t.secret != nil {
		f, err := memfile(t.secret)
		if err != nil {
			return nil, fmt.Errorf("keeping a secret in memory: %w", err)
		}
		defer f.Close()
		c.Files = []*os.File{f}
	}
	if t.file != nil {
		c.Files = append(c.Files, t.file)
	}
	return process.Start(c)
}

// wait returns how a run of the tool ended: nil, or an *ExitError.
func (t *tool) wait(p *process.Process) error {
	err := p.Wait()
	if text := p.Stderr(); err == nil && text != "" && t.warned != nil {
		t.warned(text)
	}
	return err
}

// clean strikes the password out of what the tool said: no tool is known to print
// it, and none shall.
func (t *tool) clean(text string) string {
	if t.password != "" {
		text = strings.ReplaceAll(text, t.password, "[secret]")
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, "?"))
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
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "memfd:dbacked")
	err = f.Chmod(0o600) // libpq refuses one that others could read
	if err == nil {
		_, err = f.Write(b)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
