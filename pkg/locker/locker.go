// Package locker lets one backup of a database run at a time.
//
// [File] does that on one machine, for backups that lie in a folder: an flock
// that the kernel frees when its holder ends, however it ends, so that a killed
// run never stands in the way of the next. The lock file itself stays; what it
// says of its holder is for people. On NFS the lock holds between machines where
// the server supports it. Child processes do not inherit the lock.
//
// [Lease] does it between all hosts that share a store which can replace an
// object only if it is unchanged. Its holder writes it anew each third of a term
// (2 minutes by default), and stops half a term after the last time that this was
// done. A holder that dies stands in the way for a term, by the store's clock, and
// then for a little more than half a term in which the next one watches that it
// really is dead. No clock needs to be right: the agents' wall clocks are not asked
// at all, and a store whose clock jumps cannot make two hold the lease. All that is
// taken for given is that a minute lasts about as long everywhere. A machine that
// was frozen whole, and knows nothing of it, may go on until its next renewal: two
// complete backups, of which neither harms the other.
//
// [Database] does it where a store cannot do that: with a lock that the database's
// server keeps for one session.
//
// [All] takes several locks in order.
package locker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Errors of a lock.
var (
	// ErrHeld says that another run holds the lock, and where it is known, who.
	ErrHeld = errors.New("another backup of this instance is running")
	// ErrLost is why the context of Acquire ends when the lock may be another's:
	// its file was removed or replaced, its lease could not be renewed, the
	// session that had it ended. Such a run must not commit.
	ErrLost = errors.New("the lock was lost")
)

const (
	// watchEvery is how often a lock file is looked at while it is held.
	watchEvery = 5 * time.Second
	// attempts bounds how often the lock is taken anew when its file is
	// exchanged meanwhile.
	attempts = 10
)

// File is a lock on a file.
type File struct{ path string }

// NewFile returns a lock on the file of that path, which Acquire makes, with
// the folder it lies in.
func NewFile(path string) *File { return &File{path: path} }

// Acquire takes the lock, or says ErrHeld at once. The context that it returns
// ends when ctx does, when the lock is given back, and with ErrLost as cause
// when the lock file is removed. The function gives the lock back; it may be
// called again.
func (l *File) Acquire(ctx context.Context) (context.Context, func(), error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	f, err := l.take()
	if err != nil {
		return nil, nil, err
	}
	claim(f)
	run, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { l.watch(run, end, f) })
	return run, sync.OnceFunc(func() {
		end(nil)
		watching.Wait()
		_ = f.Truncate(0) // what it said is no longer so
		_ = f.Close()     // frees the lock
	}), nil
}

// Hold takes the lock without looking whether its file stays: for a process that
// holds it as long as it lives, and wakes up for nothing.
func (l *File) Hold() (release func(), err error) {
	f, err := l.take()
	if err != nil {
		return nil, err
	}
	claim(f)
	return sync.OnceFunc(func() {
		_ = f.Truncate(0)
		_ = f.Close()
	}), nil
}

// take opens the lock file and locks it.
func (l *File) take() (*os.File, error) {
	for range attempts {
		f, err := l.open()
		if err != nil {
			return nil, l.explain(err)
		}
		if err := flock(f); errors.Is(err, syscall.EWOULDBLOCK) {
			defer func() { _ = f.Close() }()
			return nil, held(f)
		} else if err != nil {
			_ = f.Close()
			return nil, l.explain(err)
		}
		// A file that was removed between open and flock locks nothing.
		if err := l.same(f); err == nil {
			return f, nil
		}
		_ = f.Close()
	}
	return nil, fmt.Errorf("lock %s: something keeps removing or replacing this file: find out what, and try again", l.path)
}

func (l *File) open() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return nil, err
	}
	// A link could lead the truncation to any file.
	return os.OpenFile(l.path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// same says whether the path still leads to f.
func (l *File) same(f *os.File) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(l.path)
	if err != nil {
		return err
	}
	if !os.SameFile(own, there) {
		return errors.New("it is another file now")
	}
	return nil
}

// watch ends the run when the lock file goes.
func (l *File) watch(run context.Context, end context.CancelCauseFunc, f *os.File) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-run.Done():
			return
		case <-tick.C:
		}
		if err := l.same(f); err != nil {
			end(fmt.Errorf("%w: %s was removed or replaced while this run held it (%v); leave that file alone, and run again", ErrLost, l.path, err))
			return
		}
	}
}

func (l *File) explain(err error) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
		advice = ": this file system has no locks (flock): set DBACKED_STORAGE to a folder on one that has"
	case errors.Is(err, fs.ErrPermission):
		advice = fmt.Sprintf(": user id %d may not write there: run this as the user that makes the backups", os.Geteuid())
	case errors.Is(err, syscall.ENOSPC):
		advice = ": free space or inodes on that disk"
	case errors.Is(err, syscall.EROFS):
		advice = ": mount that disk for writing"
	case errors.Is(err, syscall.ELOOP):
		advice = ": it is a symbolic link: remove it"
	}
	return fmt.Errorf("lock: %w%s", err, advice)
}
