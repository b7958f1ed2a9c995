package process

import (
	"fmt"
	"syscall"
)

// ExitError says that a program failed.
type ExitError struct {
	Tool   string         // the program's name: "pg_dump"
	Code   int            // its exit status, -1 if it has none
	Signal syscall.Signal // what killed it, or 0
	Stderr string         // the end of what it said, or why its status is not known
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
