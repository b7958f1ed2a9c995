package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
)

const (
	// How long others' writes may wait for the moment in which all dumps begin:
	// until what runs is done, and then until all have begun. Where that does not
	// do, it may never do, and one stream needs no such moment.
	mysqlLockTime  = 3 * time.Second
	mysqlBeginTime = 10 * time.Second

	mysqlLook = 2 * time.Millisecond
	// mysqlBegun is what a dump program says, by --verbose, as soon as its
	// transaction is open and it asks for its first table.
	mysqlBegun = "-- Retrieving "
)

// mysqlRun is a dump program that has begun and waits, its pipe full, until its
// part is asked for.
type mysqlRun struct {
	tool    *tool
	process *process.Process
	out     *os.File
	taken   bool
}

// begin starts the program.
func (t *tool) begin(ctx context.Context) (*mysqlRun, error) {
	r, stdout, err := pipe()
	if err != nil {
		return nil, err
	}
	p, err := t.start(ctx, nil, stdout)
	stdout.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &mysqlRun{tool: t, process: p, out: r}, nil
}

// copy gives w what the program writes, to its end.
func (r *mysqlRun) copy(ctx context.Context, w io.Writer) error {
	defer r.out.Close()
	stop := context.AfterFunc(ctx, func() { r.out.SetReadDeadline(time.Unix(1, 0)); r.process.End() })
	defer stop()
	err := r.tool.drain(ctx, w, r.out)
	if ctx.Err() == nil && err == nil {
		return r.tool.finish(ctx, r.process)
	}
	r.process.End()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

func (r *mysqlRun) end() {
	r.process.Kill()
	r.out.Close()
}

// begun waits until the program's transaction is open.
func (r *mysqlRun) begun(ctx context.Context) error {
	tick := time.NewTicker(mysqlLook)
	defer tick.Stop()
	for !strings.Contains(r.process.Stderr(), mysqlBegun) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.process.Done():
			if strings.Contains(r.process.Stderr(), mysqlBegun) {
				return nil // it had little to write
			}
			if err := r.process.Wait(); err != nil {
				return err
			}
			return fmt.Errorf("%w: %s ended before it began", ErrIncomplete, r.tool.name())
		case <-tick.C:
		}
	}
	return nil
}

// atOnce begins all programs in one moment, in which nobody writes.
func (m *MySQL) atOnce(ctx context.Context, tools []*tool) (runs []*mysqlRun, err error) {
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return nil, err
	}
	defer s.close() // and with it, the lock
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, m.explain(err)
	}
	defer func() { _ = conn.Close() }() // to the pool, which is closed next
	wait := mysqlLockTime
	if m.limits.Lock > 0 {
		wait = min(wait, m.limits.Lock)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", max(1, int(wait.Seconds())))); err != nil {
		return nil, m.explain(err)
	}
	if _, err := conn.ExecContext(ctx, "FLUSH TABLES WITH READ LOCK"); err != nil {
		return nil, m.refusedLock(s, err, wait)
	}
	defer func() {
		if err != nil {
			for _, r := range runs {
				r.end()
			}
			runs = nil
		}
	}()
	limited, cancel := context.WithTimeoutCause(ctx, mysqlBeginTime, fmt.Errorf("%w: the dumps did not all begin within %s, and nobody could write meanwhile", ErrNotShared, mysqlBeginTime))
	defer cancel()
	for _, t := range tools {
		r, err := t.begin(limited)
		if err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	for _, r := range runs {
		if err := r.begun(limited); err != nil {
			return runs, err
		}
	}
	// That it succeeds says that the session, and so the lock, lasted until now.
	if _, err := conn.ExecContext(limited, "UNLOCK TABLES"); err != nil {
		return runs, fmt.Errorf("%w: the lock under which the dumps began did not last: %w", ErrYield, err)
	}
	return runs, nil
}

// refusedLock says what it means that the lock was not given.
func (m *MySQL) refusedLock(s *mysqlSession, err error, wait time.Duration) error {
	switch mysqlCode(err) {
	case 1205:
		return fmt.Errorf("%w: a statement that runs held the moment of the snapshot up for longer than %s, and nobody could write meanwhile: see SHOW FULL PROCESSLIST: %w", ErrNotShared, wait, err)
	case 1044, 1045, 1142, 1227:
		grant := "RELOAD"
		if !s.server.maria() && !s.server.version.less(mysqlVersion{8, 0}) {
			grant = "FLUSH_TABLES"
		}
		return fmt.Errorf("%w: the account may not hold writes up for a moment, which services that manage a server may not allow at all: GRANT %s ON *.* TO %s;: %w", ErrNotShared, grant, quoteMySQLAccount(s.server.account), err)
	}
	return m.explain(fmt.Errorf("holding writes up for the snapshot: %w", err))
}

// withoutProgress strikes out what a program says by --verbose when all is well.
func withoutProgress(text string) string {
	var said []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "-- ") {
			said = append(said, line)
		}
	}
	return strings.TrimSpace(strings.Join(said, ""))
}

// withoutProgressError is an error of a program without that.
func withoutProgressError(err error) error {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		exit.Stderr = withoutProgress(exit.Stderr)
	}
	return err
}
