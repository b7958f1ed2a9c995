package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// readStore counts what is read of a store.
type readStore struct {
	storage.Store
	read int64
}

func (s *readStore) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, name, offset)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&countingReader{ctx, r, func(n int64) { s.read += n }}, r}, nil
}

// TestRestoreFromMemory: a small file is read once where one may be kept in
// memory, and no more than that many are.
func TestRestoreFromMemory(t *testing.T) {
	b := newBed(t)
	plain := noise(3 << 20)
	m := b.made(plain)
	memory := NewMemory(1)
	restore := func(target func(context.Context, io.Reader) error) (*readStore, *Restore) {
		store := &readStore{Store: b.store}
		r := b.restore(m, target)
		r.File, r.Memory = SealedFile(store, m, m.Files[0]), memory
		return store, r
	}
	stored := m.Files[0].StoredBytes
	var got, inner bytes.Buffer
	var second *readStore
	first, r := restore(func(ctx context.Context, in io.Reader) error {
		var r *Restore
		second, r = restore(into(&inner)) // there is no more room
		if err := r.Run(ctx); err != nil {
			return err
		}
		return into(&got)(ctx, in)
	})
	if err := r.Run(t.Context()); err != nil || !bytes.Equal(got.Bytes(), plain) || !bytes.Equal(inner.Bytes(), plain) {
		t.Errorf("restored %d and %d bytes, %v", got.Len(), inner.Len(), err)
	}
	if first.read != stored || second.read < stored*2-1000 {
		t.Errorf("of %d stored bytes %d and %d were read", stored, first.read, second.read)
	}
	third, r := restore(into(&got))
	if err := r.Run(t.Context()); err != nil || third.read != stored {
		t.Errorf("with room again, %d bytes were read, %v", third.read, err)
	}
	change(t, b.path(m), damages["flipped"])
	_, r = restore(untouched(t))
	if err := r.Run(t.Context()); !errors.Is(err, ErrDiffers) {
		t.Errorf("restore of a damaged file says %v", err)
	}
}

// TestSharedProgress: files that are restored with one progress are counted
// together, once.
func TestSharedProgress(t *testing.T) {
	b := newBed(t)
	first, second := b.made(noise(3<<20)), b.made(noise(1<<20))
	total := first.Files[0].StoredBytes + second.Files[0].StoredBytes
	progress := new(Progress)
	progress.Share(total)
	for _, m := range []*catalog.Manifest{first, second} {
		r := b.restore(m, into(new(bytes.Buffer)))
		r.Progress = progress
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := progress.Snapshot()
	if s.Stage != StageRestore || s.Total != total || s.Plain != 4<<20 || s.Stored < total-1000 || s.Stored > total {
		t.Errorf("%+v of %d stored bytes", s, total)
	}
}
