package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

// TestReadThatBreaksOften cuts every answer in half, for ever: each brings it
// further.
func TestReadThatBreaksOften(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "breaking", nil)
	data := pattern(1 << 20)
	if err := b.Put(t.Context(), "db/o", data); err != nil {
		t.Fatal(err)
	}
	b.times(-1, isGet, dbtest.Fault{Name: "cut", CutAnswer: true})
	r, err := b.Open(t.Context(), "db/o", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(io.LimitReader(r, int64(len(data)-1))) // of the last byte nothing is half
	if err != nil || !bytes.Equal(got, data[:len(data)-1]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := b.proxy.Done()["cut"]; n < 15 {
		t.Errorf("cut %d times only", n)
	}
	_, err = r.Read(make([]byte, 1))
	mustHave(t, err, "read s3://breaking/", "at byte 1048575 of 1048576", "tried 8 times")
}

// overwritten opens an object, reads a byte, lets another be written over it and
// the connection break, and reads on.
func overwritten(t *testing.T, b *bed) ([]byte, error) {
	t.Helper()
	data := pattern(1 << 20)
	if err := b.Put(t.Context(), "db/o", data); err != nil {
		t.Fatal(err)
	}
	b.times(1, isGet, dbtest.Fault{Name: "cut", CutAnswer: true})
	r, err := b.Open(t.Context(), "db/o", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	b.forge("db/o", string(bytes.ToUpper(data)))
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, data[1:]) {
		t.Error("two states were mixed")
	}
	return got, err
}

func TestOverwrittenWhileRead(t *testing.T) {
	if _, err := overwritten(t, newBed(t, dbtest.S3(t), "plain", nil)); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("%v", err)
	}
}

func TestOverwrittenWhileReadWithVersions(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "versioned", true)
	if got, err := overwritten(t, newBedIn(t, server, "versioned", nil)); err != nil || len(got) != 1<<20-1 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestServiceThatIgnoresRanges must not be believed.
func TestServiceThatIgnoresRanges(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "ranges", func(o *Options) { o.Backoff.Tries = 2 })
	if err := b.Put(t.Context(), "db/o", pattern(1000)); err != nil {
		t.Fatal(err)
	}
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		r.Header.Del("Range")
		return dbtest.Fault{}
	})
	_, err := b.Open(t.Context(), "db/o", 10)
	mustHave(t, err, "db/o")
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string][2]int64{"bytes 0-9/10": {0, 10}, "bytes 5-9/10": {5, 10}} {
		if start, size, ok := parseRange(text); !ok || start != want[0] || size != want[1] {
			t.Errorf("%q: %d %d %v", text, start, size, ok)
		}
	}
	for _, text := range []string{"", "bytes", "bytes 0-9", "bytes 0-9/*", "bytes */10", "items 0-9/10", "bytes -1-9/10", "bytes 10-9/10"} {
		if start, size, ok := parseRange(text); ok {
			t.Errorf("%q: %d %d", text, start, size)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, text := range []string{"bytes 0-9/10", "bytes */10", "bytes 1-/2", "bytes 9223372036854775807-1/9223372036854775807"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if start, size, ok := parseRange(text); ok && (start < 0 || start >= size) {
			t.Errorf("%q: %d of %d", text, start, size)
		}
	})
}
