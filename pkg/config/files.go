package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	maxFile = 1 << 20 // of a file of settings, and of a key
	// maxPipeWait ends the wait for a secret that comes through a pipe, as from --db-password-file <(pass show db).
	maxPipeWait = time.Minute
)

var errNoPermission = errors.New("permission denied: run it as root (sudo dbacked …), or let this user read it")

// readFile returns the content of a file or pipe of at most maxFile bytes, and whether every user may read it.
// Its errors say what to do, but not which file: the caller knows what it is for.
func readFile(path string) (content []byte, worldReadable bool, err error) {
	// Without O_NONBLOCK, opening a pipe that nobody writes to never returns.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, fileError(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, false, fileError(err)
	}
	if info.IsDir() {
		return nil, false, errors.New("it is a folder, not a file")
	}
	_ = file.SetReadDeadline(time.Now().Add(maxPipeWait)) // only pipes know deadlines, and only they need one
	content, err = io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, false, fileError(err)
	}
	if len(content) > maxFile {
		return nil, false, fmt.Errorf("it is larger than %d bytes, so it cannot be what is meant", maxFile)
	}
	return content, info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0, nil
}

// fileError says in short what is wrong with a file, without its path. It takes its own results, too.
func fileError(err error) error {
	switch {
	case errors.Is(err, errNoPermission), errors.Is(err, fs.ErrPermission):
		return errNoPermission
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	}
	var where *fs.PathError
	if errors.As(err, &where) {
		return where.Err
	}
	return err
}
