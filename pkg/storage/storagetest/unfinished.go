package storagetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

// remover removes all that is unfinished under a prefix, however young; nil
// where the store cannot.
func remover(t *testing.T, s storage.Store) func(prefix string) ([]string, error) {
	switch s := s.(type) {
	case storage.Reclaimer:
		return func(prefix string) ([]string, error) { return s.RemoveAbandoned(t.Context(), prefix, 0) }
	case storage.Cleaner:
		return func(prefix string) ([]string, error) { return s.RemoveUnfinished(t.Context(), prefix) }
	}
	return nil
}

// unfinished checks what is unfinished under a prefix, and removes it.
func unfinished(t *testing.T, remove func(prefix string) ([]string, error), prefix string, want ...string) {
	t.Helper()
	names, err := remove(prefix)
	ok(t, err)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("unfinished under %s (-want +got):\n%s", prefix, diff)
	}
}

// testAbortedParts looks for parts with the means of the store itself.
func testAbortedParts(t *testing.T, s storage.Store) {
	remove := remover(t, s)
	if remove == nil {
		t.Skip("the store leaves nothing unfinished")
	}
	w := twoParts(t, s, "db/1/aborted")
	ok(t, w.Abort(t.Context()))
	unfinished(t, remove, "db/")
	lists(t, s, "")
}

// testLeftParts lets writers be forgotten, as a killed run forgets them.
func testLeftParts(t *testing.T, s storage.Store) {
	remove := remover(t, s)
	if remove == nil {
		t.Skip("the store leaves nothing unfinished")
	}
	store(t, s, "db/1/done", []byte("done"))
	mine, other := twoParts(t, s, "db/1/left"), twoParts(t, s, "db2/1/alive")
	unfinished(t, remove, "db/2/")
	unfinished(t, remove, "db/", "db/1/left")
	unfinished(t, remove, "db/")
	lists(t, s, "", "db/1/done")
	if _, err := mine.Commit(t.Context()); err == nil {
		t.Error("what was removed was committed")
	}
	ok(t, mine.Abort(t.Context()))
	commit(t, other, "db2/1/alive", partSize+1)
}

func twoParts(t *testing.T, s storage.Store, name string) storage.Writer {
	t.Helper()
	w := create(t, s, name)
	ok(t, w.WritePart(t.Context(), 1, 0, pattern(partSize)))
	ok(t, w.WritePart(t.Context(), 2, partSize, []byte{1}))
	return w
}

// Breaker is what a store's own test can offer: the connection of the next read
// breaks before its end.
type Breaker interface{ BreakRead() }

func testBrokenRead(t *testing.T, s storage.Store) {
	breaker, can := s.(Breaker)
	if !can {
		t.Skip("reads from this store do not break")
	}
	data := pattern(1 << 20)
	store(t, s, "db/o", data)
	breaker.BreakRead()
	holds(t, s, "db/o", data)
	breaker.BreakRead()
	got, err := read(t.Context(), s, "db/o", 12345)
	ok(t, err)
	if diff := cmp.Diff(len(data)-12345, len(got)); diff != "" {
		t.Errorf("from byte 12345: %s", diff)
	}
}
