// Package storagetest is the suite that every storage.Store passes. A store's
// own test calls [Run]:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t) })
//	}
//
// A store that cannot do all names what it leaves out:
//
//	storagetest.Run(t, open, storagetest.PartsInAnyOrder)
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Lack is something that a store cannot do, and says so to its user.
type Lack int

const (
	// PartsInAnyOrder is a part that comes before those that precede it, or again.
	PartsInAnyOrder Lack = iota + 1
	// SeveralParts is an object of more than one part.
	SeveralParts
)

// Filler is a store's own test that can write many objects faster than by Put,
// where each Put starts a program.
type Filler interface {
	Fill(t *testing.T, names []string, data []byte)
}

// Run runs the suite, each part of it on an empty store of its own, but for those
// that need what is lacking.
func Run(t *testing.T, open func(t *testing.T) storage.Store, lacking ...Lack) {
	for _, test := range []struct {
		name  string
		run   func(*testing.T, storage.Store)
		needs []Lack
	}{
		{"nothing is visible before commit", testVisibility, nil},
		{"abort leaves nothing", testAbort, nil},
		{"parts out of order and again", testParts, []Lack{PartsInAnyOrder, SeveralParts}},
		{"a missing part is not committed", testHole, []Lack{PartsInAnyOrder, SeveralParts}},
		{"an empty object", testEmpty, nil},
		{"open at offsets", testOffsets, nil},
		{"list by prefix", testPrefixes, nil},
		{"list many", testMany, nil},
		{"put only if absent", testPut, nil},
		{"remove", testRemove, nil},
		{"odd names", testNames, nil},
		{"a context that has ended", testCancelled, nil},
		{"of racing commits one wins", testRacingCommits, nil},
		{"of racing commits of parts one wins", testRacingParts, nil},
		{"of racing puts one wins", testRacingPuts, nil},
		{"parts from several goroutines", testParallelParts, []Lack{SeveralParts}},
		{"folders come and go under a race", testRacingFolders, nil},
		{"abort leaves no part", testAbortedParts, []Lack{SeveralParts}},
		{"parts of a killed run", testLeftParts, []Lack{SeveralParts}},
		{"a read that breaks off", testBrokenRead, nil},
	} {
		if slices.ContainsFunc(test.needs, func(l Lack) bool { return slices.Contains(lacking, l) }) {
			continue
		}
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
