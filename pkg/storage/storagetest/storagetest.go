// Package storagetest is the suite that every storage.Store passes. A store's
// own test calls [Run]:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t) })
//	}
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Run runs the suite, each part of it on an empty store of its own.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"nothing is visible before commit", testVisibility},
		{"abort leaves nothing", testAbort},
		{"parts out of order and again", testParts},
		{"a missing part is not committed", testHole},
		{"an empty object", testEmpty},
		{"open at offsets", testOffsets},
		{"list by prefix", testPrefixes},
		{"list many", testMany},
		{"put only if absent", testPut},
		{"remove", testRemove},
		{"odd names", testNames},
		{"a context that has ended", testCancelled},
		{"of racing commits one wins", testRacingCommits},
		{"of racing commits of parts one wins", testRacingParts},
		{"of racing puts one wins", testRacingPuts},
		{"parts from several goroutines", testParallelParts},
		{"folders come and go under a race", testRacingFolders},
		{"abort leaves no part", testAbortedParts},
		{"parts of a killed run", testLeftParts},
		{"a read that breaks off", testBrokenRead},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func create(t *testing.T, s storage.Store, name string) storage.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	ok(t, err)
	return w
}

// store writes an object in one part.
func store(t *testing.T, s storage.Store, name string, data []byte) {
	t.Helper()
	w := create(t, s, name)
	ok(t, w.WritePart(t.Context(), 1, 0, data))
	commit(t, w, name, len(data))
}

func commit(t *testing.T, w storage.Writer, name string, size int) {
	t.Helper()
	o, err := w.Commit(t.Context())
	ok(t, err)
	if o.Name != name || o.Size != int64(size) || o.Modified.IsZero() {
		t.Fatalf("commit says %+v, want %q of %d bytes", o, name, size)
	}
}

func read(ctx context.Context, s storage.Store, name string, offset int64) ([]byte, error) {
	r, err := s.Open(ctx, name, offset)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func holds(t *testing.T, s storage.Store, name string, want []byte) {
	t.Helper()
	data, err := read(t.Context(), s, name, 0)
	ok(t, err)
	if !bytes.Equal(data, want) {
		t.Fatalf("%s holds %d bytes that are not the %d that were written", name, len(data), len(want))
	}
}

func lists(t *testing.T, s storage.Store, prefix string, want ...string) {
	t.Helper()
	objects, err := s.List(t.Context(), prefix)
	ok(t, err)
	var names []string
	for _, o := range objects {
		names = append(names, o.Name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("list %q (-want +got):\n%s", prefix, diff)
	}
}
