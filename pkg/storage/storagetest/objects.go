package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

func testVisibility(t *testing.T, s storage.Store) {
	w := create(t, s, "db/one")
	ok(t, w.WritePart(t.Context(), 1, 0, []byte("all of it")))
	lists(t, s, "")
	_, err := read(t.Context(), s, "db/one", 0)
	is(t, err, storage.ErrNotFound)
	commit(t, w, "db/one", 9)
	lists(t, s, "", "db/one")
	holds(t, s, "db/one", []byte("all of it"))
	ok(t, w.Abort(t.Context()))
	holds(t, s, "db/one", []byte("all of it"))
}

func testAbort(t *testing.T, s storage.Store) {
	w := create(t, s, "db/one")
	ok(t, w.WritePart(t.Context(), 1, 0, []byte("some")))
	ok(t, w.Abort(t.Context()))
	ok(t, w.Abort(t.Context()))
	lists(t, s, "")
	if _, err := w.Commit(t.Context()); err == nil {
		t.Fatal("an aborted object was committed")
	}
	lists(t, s, "")
	store(t, s, "db/one", []byte("anew"))
	holds(t, s, "db/one", []byte("anew"))
}

// partSize is the least that S3 takes for a part, but for the last.
const partSize = 5 << 20

func testParts(t *testing.T, s storage.Store) {
	const size = partSize
	data := pattern(2*size + 7)
	w := create(t, s, "db/parts")
	garbled := bytes.Repeat([]byte{0xff}, size)
	ok(t, w.WritePart(t.Context(), 3, 2*size, data[2*size:]))
	ok(t, w.WritePart(t.Context(), 1, 0, garbled))
	copy(garbled, "the writer keeps no reference to this")
	ok(t, w.WritePart(t.Context(), 2, size, data[size:2*size]))
	ok(t, w.WritePart(t.Context(), 1, 0, data[:size]))
	commit(t, w, "db/parts", len(data))
	holds(t, s, "db/parts", data)
}

func testHole(t *testing.T, s storage.Store) {
	w := create(t, s, "db/hole")
	ok(t, w.WritePart(t.Context(), 2, 4, []byte("later")))
	if _, err := w.Commit(t.Context()); err == nil {
		t.Fatal("an object without its first part was committed")
	}
	ok(t, w.Abort(t.Context()))
	lists(t, s, "")
}

func testEmpty(t *testing.T, s storage.Store) {
	commit(t, create(t, s, "db/empty"), "db/empty", 0)
	ok(t, s.Put(t.Context(), "db/put", nil))
	lists(t, s, "db/", "db/empty", "db/put")
	holds(t, s, "db/empty", nil)
	holds(t, s, "db/put", nil)
}

func testOffsets(t *testing.T, s storage.Store) {
	data := pattern(1000)
	store(t, s, "db/o", data)
	for _, offset := range []int{0, 1, 999, 1000, 1001, 1 << 20} {
		got, err := read(t.Context(), s, "db/o", int64(offset))
		ok(t, err)
		if want := data[min(offset, len(data)):]; !bytes.Equal(got, want) {
			t.Errorf("from offset %d: %d bytes, want %d", offset, len(got), len(want))
		}
	}
	if _, err := read(t.Context(), s, "db/o", -1); err == nil {
		t.Error("a negative offset was taken")
	}
	for _, name := range []string{"db/none", "db", "none/at/all", "db/o/below"} {
		_, err := read(t.Context(), s, name, 0)
		is(t, err, storage.ErrNotFound)
	}
}

func testPrefixes(t *testing.T, s storage.Store) {
	all := []string{"a-z", "db-2/x", "db/1/a", "db/1/b", "db/10", "db2/x"}
	for _, name := range slices.Backward(all) {
		ok(t, s.Put(t.Context(), name, []byte(name)))
	}
	lists(t, s, "", all...)
	lists(t, s, "db", all[1:]...)
	lists(t, s, "db/", all[2:5]...)
	lists(t, s, "db/1", all[2:5]...)
	lists(t, s, "db/1/", all[2:4]...)
	lists(t, s, "db/1/a", "db/1/a")
	lists(t, s, "db/1/a/")
	lists(t, s, "nothing/")
	lists(t, s, "D")
	objects, err := s.List(t.Context(), "db/10")
	ok(t, err)
	if len(objects) != 1 || objects[0].Size != 5 || objects[0].Modified.IsZero() {
		t.Errorf("list says %+v", objects)
	}
}

func testMany(t *testing.T, s storage.Store) {
	var want []string
	for i := range 1203 {
		want = append(want, fmt.Sprintf("db/%03d/%04d", i/10, i))
	}
	if f, can := s.(Filler); can {
		f.Fill(t, want, []byte{1})
	} else {
		for _, name := range want {
			ok(t, s.Put(t.Context(), name, []byte{1}))
		}
	}
	lists(t, s, "db/", want...)
}

func testPut(t *testing.T, s storage.Store) {
	ok(t, s.Put(t.Context(), "db/m", []byte("first")))
	is(t, s.Put(t.Context(), "db/m", []byte("other")), storage.ErrExists)
	holds(t, s, "db/m", []byte("first"))
	w, err := s.Create(t.Context(), "db/m")
	if err == nil {
		ok(t, w.WritePart(t.Context(), 1, 0, []byte("other")))
		_, err = w.Commit(t.Context())
		ok(t, w.Abort(t.Context()))
	}
	is(t, err, storage.ErrExists)
	holds(t, s, "db/m", []byte("first"))
}

func testRemove(t *testing.T, s storage.Store) {
	store(t, s, "db/1/a", []byte("a"))
	store(t, s, "db/1/b", []byte("b"))
	ok(t, s.Remove(t.Context(), "db/1/a"))
	ok(t, s.Remove(t.Context(), "db/1/a"))
	ok(t, s.Remove(t.Context(), "nothing/like/it"))
	lists(t, s, "", "db/1/b")
	ok(t, s.Remove(t.Context(), "db/1/b"))
	lists(t, s, "")
	store(t, s, "db/1/a", []byte("again"))
	holds(t, s, "db/1/a", []byte("again"))
}

func testNames(t *testing.T, s storage.Store) {
	for _, name := range []string{
		`we ird"s/$HOME/'x' & y`, "emoji 🐘/é", "-rf", "a%2Fb/c?d#e", "x/y..", "100%", strings.Repeat("n", 200),
	} {
		ok(t, s.Put(t.Context(), name, []byte(name)))
		holds(t, s, name, []byte(name))
		lists(t, s, name, name)
		ok(t, s.Remove(t.Context(), name))
	}
	for _, name := range []string{"", "/etc/x", "../x", "a/../../x", "a//b", ".hidden", "a/.b/c", "a\x00", "a\n", "a/"} {
		if err := s.Put(t.Context(), name, nil); err == nil {
			t.Errorf("%q was taken by Put", name)
		}
		if _, err := s.Create(t.Context(), name); err == nil {
			t.Errorf("%q was taken by Create", name)
		}
		if _, err := s.Open(t.Context(), name, 0); err == nil {
			t.Errorf("%q was taken by Open", name)
		}
		if err := s.Remove(t.Context(), name); err == nil {
			t.Errorf("%q was taken by Remove", name)
		}
	}
	objects, err := s.List(t.Context(), "")
	ok(t, err)
	if diff := cmp.Diff([]storage.Object(nil), objects); diff != "" {
		t.Errorf("left behind: %s", diff)
	}
}

// pattern is data that repeats nowhere within a part.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return data
}
