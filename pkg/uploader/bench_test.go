package uploader

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

const benchSize = 512 << 20

// source gives the same random bytes again and again, without a cost of its own.
type source struct{ block []byte }

func (s source) Read(p []byte) (int, error) { return copy(p, s.block), nil }

func newSource() io.Reader { return io.LimitReader(source{random(4 << 20)}, benchSize) }

func BenchmarkUpload(b *testing.B) {
	s := local(b, b.TempDir())
	b.SetBytes(benchSize)
	for b.Loop() {
		if _, err := upload(b.Context(), s, "db/x", newSource(), Options{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Remove(b.Context(), "db/x"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPlainFile writes and syncs the same bytes with nothing else.
func BenchmarkPlainFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x")
	b.SetBytes(benchSize)
	for b.Loop() {
		if err := plain(path); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func plain(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, newSource(), make([]byte, 4<<20)); err != nil {
		return err
	}
	return f.Sync()
}
