package records

import (
	"path/filepath"
	"testing"
)

// TestCopy copies while others write, and finds in the copy what was there before.
func TestCopy(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "server.db"))
	b := &bed{t: t, Store: s, now: start}
	before := b.newProject("before")
	copied := filepath.Join(t.TempDir(), "a copy.db")
	if err := s.CopyTo(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	b.newProject("after")
	all, err := open(t, "sqlite:"+copied).Projects(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != before.ID {
		t.Errorf("the copy has %+v: %v", all, err)
	}
	if err := s.CopyTo(t.Context(), copied); err == nil {
		t.Error("a file with something in it was replaced")
	}
}
