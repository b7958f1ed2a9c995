package client

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/storagetest"
)

// TestStore is the suite of all stores, on a backup that is under way.
func TestStore(t *testing.T) {
	for name, where := range map[string]int{"folder": inFolder, "bucket": inBucket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storagetest.Run(t, func(t *testing.T) storage.Store {
				b := newBed(t, where)
				c := b.client("a")
				s := breaking{filled{c.Store(b.ask(c)), b}}
				if where == inBucket { // whose bytes do not pass the service
					return s.filled
				}
				return s
			})
		})
	}
}

// filled is a store whose service the test can reach: each Put takes three calls.
type filled struct {
	*Store
	bed *bed
}

func (s filled) Fill(t *testing.T, names []string, data []byte) {
	for i, name := range names {
		f, err := s.bed.records.AskPart(t.Context(), s.project, s.run.ID, "a", name, records.Part{Number: 1}, s.bed.now())
		if err != nil {
			t.Fatal(err)
		}
		f.Size, f.ETag, f.Modified = int64(len(data)), fmt.Sprint(i), s.bed.now()
		if err := s.bed.records.CompleteFile(t.Context(), f, "a", name); err != nil {
			t.Fatal(err)
		}
	}
}

// breaking is a store whose connections a test can break.
type breaking struct{ filled }

// BreakRead cuts the next download.
func (s breaking) BreakRead() {
	var cut atomic.Bool
	s.bed.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodGet || r.Header.Get("Range") == "" || cut.Swap(true) {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(&cutting{w, 300_000}, r)
		panic(http.ErrAbortHandler)
	})
}

// cutting is an answer that ends early.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, http.ErrAbortHandler
	}
	p = p[:min(len(p), c.left)]
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}
