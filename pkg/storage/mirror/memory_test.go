package mirror

import (
	"context"
	"sync"
	"unsafe"

	"github.com/dbacked/dbacked/pkg/storage"
)

// buffers are the different pieces of memory that parts were written from.
type buffers struct {
	mu    sync.Mutex
	sizes map[*byte]int
}

func newBuffers() *buffers { return &buffers{sizes: map[*byte]int{}} }

func (b *buffers) total() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, size := range b.sizes {
		n += size
	}
	return n
}

// counting is a store that notes from where it is written.
type counting struct {
	storage.Store
	buffers *buffers
}

func (c counting) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := c.Store.Create(ctx, name)
	return countingWriter{w, c.buffers}, err
}

type countingWriter struct {
	storage.Writer
	buffers *buffers
}

func (w countingWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	w.buffers.mu.Lock()
	w.buffers.sizes[unsafe.SliceData(p)] = cap(p)
	w.buffers.mu.Unlock()
	return w.Writer.WritePart(ctx, number, offset, p)
}
