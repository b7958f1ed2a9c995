package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// errOnce says that a stream from a pipe was asked for twice.
var errOnce = errors.New("this input can be read only once")

// Once is a file that comes from a pipe and can be read once, after its header:
// it fits a target that can undo a restore.
func Once(name string, header []byte, rest io.Reader) Sealed {
	used := 0
	return Sealed{Name: name, Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
		used++
		switch {
		case used == 1 && offset == 0:
			return io.NopCloser(bytes.NewReader(header)), nil
		case used == 2 && offset == int64(len(header)):
			return io.NopCloser(rest), nil
		}
		return nil, errOnce
	}}
}

// Spool keeps r, which is encrypted, in a file without a name in the folder
// dir, so that it can be read twice. Close gives the room back; a process that
// dies does too.
func Spool(ctx context.Context, name, dir string, r io.Reader) (s Sealed, closeSpool func() error, err error) {
	f, err := os.CreateTemp(dir, ".dbacked-spool-*")
	if err != nil {
		return Sealed{}, nil, fmt.Errorf("keeping the encrypted input for a second reading: %w; set TMPDIR to a folder with room for it", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return Sealed{}, nil, err
	}
	size, err := io.Copy(f, &countingReader{ctx, r, func(int64) {}})
	if err != nil {
		return Sealed{}, nil, fmt.Errorf("keeping the encrypted input for a second reading in %s: %w; set TMPDIR to a folder with room for it", dir, err)
	}
	s = FromFile(name, f)
	s.StoredBytes = size
	return s, f.Close, nil
}

// FromFile is an encrypted file on a disk that no manifest speaks of.
func FromFile(name string, f io.ReaderAt) Sealed {
	return Sealed{Name: name, Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, offset, 1<<63-1-offset)), nil
	}}
}
