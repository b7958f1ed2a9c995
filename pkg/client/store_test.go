package client

import (
	"database/sql"
	"net/http"
	"sync/atomic"
	"testing"

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
	db, err := sql.Open("sqlite", s.bed.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if _, err := tx.Exec("INSERT INTO files (project_id, backup_id, number, name, upload, complete, size, etag, modified) VALUES ($1, $2, $3, $4, '', 1, $5, 'x', 1)",
			s.project, s.run.ID, i+1, name, len(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
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

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutting) Write(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, http.ErrAbortHandler
	}
	p = p[:min(len(p), c.left)]
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}
