package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/dbacked/dbacked/pkg/storage"
)

// read returns all of s from an offset.
func (s *Sealed) read(ctx context.Context, offset int64, count func(int64)) *chain {
	files := s.files()
	for len(files) > 1 && offset >= files[0].StoredBytes {
		offset -= files[0].StoredBytes
		files = files[1:]
	}
	return &chain{ctx: ctx, files: files, offset: offset, count: count}
}

// chain reads files one after the other, as if they were one. Its errors name
// the file that they are of.
type chain struct {
	ctx    context.Context
	files  []Sealed // the one at hand and those that follow
	offset int64    // in the one at hand, where to open it
	count  func(int64)

	// judge, if set, is told of each file, at its end, whether it is what the
	// manifest says. What it returns, unless nil, ends the chain.
	judge func(err error) error

	open io.ReadCloser
	sum  hash.Hash
	size int64 // read of the file at hand
	err  error // how it ended
}

func (c *chain) Read(p []byte) (int, error) {
	for c.err == nil {
		n, err := c.readFile(p)
		if err != nil {
			c.err = c.endFile(err)
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, c.err
}

// readFile reads the file at hand.
func (c *chain) readFile(p []byte) (n int, err error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	if c.open == nil {
		if c.open, err = c.files[0].Open(c.ctx, c.offset); err != nil {
			return 0, err
		}
		c.sum, c.size = sha256.New(), 0
		if err := c.tell(); err != nil {
			return 0, err
		}
	}
	n, err = c.open.Read(p)
	c.size += int64(n)
	if c.judge != nil {
		c.sum.Write(p[:n])
	}
	c.count(int64(n))
	return n, err
}

// tell spares the reading of a file whose size tells that it is another one.
func (c *chain) tell() error {
	s, ok := c.open.(storage.Stated)
	if state := (storage.ObjectVersion{}); ok && c.judge != nil && c.files[0].SHA256 != "" {
		if state = s.State(); state.Tag != "" && state.Size != c.files[0].StoredBytes {
			return c.files[0].compare(state.Size, "")
		}
	}
	return nil
}

// endFile leaves the file at hand and returns how the chain ends, or nil if it
// goes on with the next.
func (c *chain) endFile(err error) error {
	c.close()
	file, cause := &c.files[0], context.Cause(c.ctx)
	switch {
	case cause != nil:
		return cause
	case err == io.EOF && c.judge != nil:
		err = file.compare(c.size, hex.EncodeToString(c.sum.Sum(nil)))
	case err == io.EOF:
		err = nil
	default:
		err = file.named(err)
	}
	if c.judge != nil {
		err = c.judge(err)
	}
	if err != nil {
		return err
	}
	if c.files, c.offset = c.files[1:], 0; len(c.files) == 0 {
		return io.EOF
	}
	return nil
}

// close lets go of the file at hand.
func (c *chain) close() {
	if c.open != nil {
		c.open.Close()
		c.open = nil
	}
}
