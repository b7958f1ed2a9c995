package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
)

const (
	// grace is what rclone has to end what it began at the remote.
	grace = 10 * time.Second
	// stderrTail is what is kept of what it prints.
	stderrTail = 8 << 10
	// largestAnswer bounds a listing: some 300 000 objects.
	largestAnswer = 64 << 20
)

// start runs rclone, which ends with this process; stdin may be nil.
func (s *Store) start(stdin *os.File, stdout io.Writer, args ...string) (*process.Process, error) {
	return process.Start(process.Command{
		Path: s.program, Args: args, Env: s.environ, Stdin: stdin, Stdout: stdout,
		Grace: grace, OnDeath: syscall.SIGTERM, Tail: stderrTail, // failed cleans it
	})
}

// wait returns what a run ended with. It is ended when ctx is over, or after limit,
// if that is not 0.
func wait(ctx context.Context, p *process.Process, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.Done():
		return p.Wait()
	case <-ctx.Done():
		p.End()
		return context.Cause(ctx)
	case <-late:
		p.Kill()
		return &stallError{limit: limit}
	}
}

// run runs rclone for as long as Stall, and returns what it prints.
func (s *Store) run(ctx context.Context, args ...string) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	out := &process.Output{Limit: largestAnswer}
	p, err := s.start(nil, out, args...)
	if err != nil {
		return nil, err
	}
	err = wait(ctx, p, s.options.Stall)
	answer, over := out.Bytes()
	if over != nil { // rclone could not write on, and only says that
		return nil, fmt.Errorf("%s: rclone printed %w", s, over)
	}
	if stall, ok := errors.AsType[*stallError](err); ok {
		stall.final = true // who looks has waited long enough
	}
	return answer, err
}
