// Package locker lets one backup of a database run at a time.
//
// [File] does that on one machine, for backups that lie in a folder: an flock
// that the kernel frees when its holder ends, however it ends, so that a killed
// run never stands in the way of the next.
package locker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrHeld says that another run holds the lock.
var ErrHeld = errors.New("another backup of this instance is running")

// maxHolder bounds what is read of a lock file.
const maxHolder = 4 << 10

// holder is what a lock file says of who holds it.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// File is a lock on a file.
type File struct{ path string }

// NewFile returns a lock on the file of that path, which Acquire makes.
func NewFile(path string) *File { return &File{path: path} }

// Acquire takes the lock, or says ErrHeld and by whom. The context that it
// returns is ctx: the kernel does not take this lock away. The function gives
// the lock back.
func (l *File) Acquire(ctx context.Context) (context.Context, func(), error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer f.Close()
		return nil, nil, held(f)
	}
	if err == nil {
		err = l.claim(f)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("lock %s: %w", l.path, err)
	}
	return ctx, func() {
		f.Truncate(0) // what it said is no longer so
		f.Close()     // frees the lock
	}, nil
}

// claim writes who holds the lock into its file.
func (l *File) claim(f *os.File) error {
	// A file that was removed while it was opened locks nothing.
	there, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	own, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(there, own) {
		return errors.New("the lock file was exchanged: try again")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}

// held is ErrHeld with who holds the lock.
func held(f *os.File) error {
	text, err := io.ReadAll(io.LimitReader(f, maxHolder))
	var h holder
	if err != nil || json.Unmarshal(text, &h) != nil {
		return ErrHeld // its holder has not written yet
	}
	return fmt.Errorf("%w: process %d on %s, since %s", ErrHeld, h.PID, h.Host, h.Since.Local().Format(time.DateTime))
}
