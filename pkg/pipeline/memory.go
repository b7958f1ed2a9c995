package pipeline

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/dbacked/dbacked/pkg/storage"
)

// keptSize is the largest file that is kept in memory, in stored bytes.
const keptSize = 32 << 20

// Memory bounds how many files are kept in memory at once. A nil one keeps none.
type Memory struct {
	free chan struct{} // holds a token for each that may be
}

// NewMemory returns a Memory for so many files of at most 32 MiB.
func NewMemory(files int) *Memory {
	m := &Memory{free: make(chan struct{}, files)}
	for range files {
		m.free <- struct{}{}
	}
	return m
}

// keep has the first whole reading of a file serve the others, until forget is
// called: if the file is small enough, and there is room for it.
func (m *Memory) keep(s *Sealed) (forget func()) {
	if m == nil || s.SHA256 == "" || s.totalStored() > keptSize {
		return func() {}
	}
	select {
	case <-m.free:
	default:
		return func() {}
	}
	before := *s
	kept := s.files()
	for i := range kept {
		kept[i].Rest = nil
		kept[i].Open = (&keptFile{open: kept[i].Open, size: kept[i].StoredBytes}).reopen
	}
	*s = kept[0]
	s.Rest = kept[1:]
	return sync.OnceFunc(func() {
		*s = before
		m.free <- struct{}{}
	})
}

// keptFile is a file that is in memory once it has been read from its beginning
// to its end. What is in it is compared with the manifest by whoever reads it.
type keptFile struct {
	open func(ctx context.Context, offset int64) (io.ReadCloser, error)
	size int64
	data []byte // all of it
}

func (k *keptFile) reopen(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if k.data != nil && offset <= int64(len(k.data)) {
		return io.NopCloser(bytes.NewReader(k.data[offset:])), nil
	}
	r, err := k.open(ctx, offset)
	if err != nil || offset > 0 {
		return r, err
	}
	return &keeping{ReadCloser: r, file: k, data: make([]byte, 0, k.size)}, nil
}

// keeping is the first reading of a file.
type keeping struct {
	io.ReadCloser
	file *keptFile
	data []byte
}

// State is that of the file in the store, if that says it.
func (k *keeping) State() (state storage.ObjectVersion) {
	if s, ok := k.ReadCloser.(storage.Stated); ok {
		state = s.State()
	}
	return state
}

func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if int64(len(k.data)+n) <= k.file.size {
		k.data = append(k.data, p[:n]...)
	}
	if err == io.EOF && int64(len(k.data)) == k.file.size {
		k.file.data = k.data
	}
	return n, err
}
