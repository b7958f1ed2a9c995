package s3

import (
	"sync"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// BenchmarkUpload writes 512 MiB in parts of 10 MiB, four at once.
func BenchmarkUpload(b *testing.B) {
	server := dbtest.S3(b)
	server.Bucket(b, "speed", false)
	s, err := Open(optionsFor(server, "speed"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const parts, size = 52, 10 << 20
	data := pattern(size)
	b.SetBytes(parts * size)
	b.ReportAllocs()
	for b.Loop() {
		w, err := s.Create(b.Context(), "db/o")
		if err != nil {
			b.Fatal(err)
		}
		numbers := make(chan int, parts)
		for n := range parts {
			numbers <- n
		}
		close(numbers)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for n := range numbers {
					if err := w.WritePart(b.Context(), n+1, int64(n)*size, data); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		if _, err := w.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := s.Remove(b.Context(), "db/o"); err != nil {
			b.Fatal(err)
		}
	}
}
