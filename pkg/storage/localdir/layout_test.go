package localdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	if err := errors.Join(Make(dir), Make(dir)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := s.Put(t.Context(), "db/1/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, "db": fs.ModeDir | 0o700, "db/1": fs.ModeDir | 0o700, "db/1/x": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%q: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	if s.String() != "file://"+dir {
		t.Errorf("it is called %s", s)
	}
}

func TestMakeOverAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Make(file)); err == nil {
		t.Error("a file passed for a folder")
	}
	if err := Make(filepath.Join(file, "below")); err == nil {
		t.Error("a folder was made in a file")
	}
}

// TestLinksOut puts symbolic links that lead out of the root in the way of
// every method.
func TestLinksOut(t *testing.T) {
	out, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(out, "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("s"), 0o600), os.Symlink(out, filepath.Join(dir, "db")),
		os.Symlink(secret, filepath.Join(dir, "file")), os.Symlink("../../"+filepath.Base(out), filepath.Join(dir, "up"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	for _, name := range []string{"db/secret", "file", "up/secret"} {
		if _, err := s.Open(t.Context(), name, 0); err == nil {
			t.Errorf("%s was read", name)
		}
		if err := s.Put(t.Context(), name+"2", []byte("x")); err == nil && name != "file" {
			t.Errorf("%s was written", name)
		}
		_ = s.Remove(t.Context(), name)
	}
	if got := entries(t, out); !cmp.Equal(got, []string{"secret"}) {
		t.Errorf("outside the root there is %q", got)
	}
	if list, err := s.List(t.Context(), ""); err != nil || len(list) != 1 || list[0].Name != "file2" {
		t.Errorf("listed: %v, %v", list, err)
	}
}

// TestHiddenThings shows that only objects are listed, and that cleaning takes
// only what a Writer left.
func TestHiddenThings(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	begin(t, s, "db/1/a")
	begin(t, s, "db/1/a")
	begin(t, s, "db/2/b")
	begin(t, s, "db2/1/c")
	foreign := []string{"db/.state/key", "db/1/.x.tmp-notrandom", "db/1/.tmp-ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
	for _, name := range foreign {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("listed: %v, %v", list, err)
	}
	removed, err := s.RemoveUnfinished(t.Context(), "db/")
	if diff := cmp.Diff([]string{"db/1/a", "db/2/b"}, removed); diff != "" || err != nil {
		t.Errorf("removed: %v %s", err, diff)
	}
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("what is not ours was removed: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "db/2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder stayed: %v", err)
	}
	if removed, err = s.RemoveUnfinished(t.Context(), ""); len(removed) != 1 || err != nil {
		t.Errorf("of the other instance: %v, %v", removed, err)
	}
}

func begin(t *testing.T, s *Store, name string) {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePart(t.Context(), 1, 0, []byte("half")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Abort(t.Context()) })
}

func TestCoverage(t *testing.T) {
	var c coverage
	for _, part := range [][2]int64{{20, 10}, {10, 10}, {40, 5}} {
		c.add(part[0], part[1])
	}
	if at, whole := c.whole(); whole || at != 0 {
		t.Errorf("with a hole at the beginning: %d, %v", at, whole)
	}
	c.add(0, 10)
	if at, whole := c.whole(); whole || at != 30 {
		t.Errorf("with a hole at 30: %d, %v", at, whole)
	}
	c.add(30, 10)
	c.add(0, 10)
	if at, whole := c.whole(); !whole || at != 45 {
		t.Errorf("with no hole: %d, %v", at, whole)
	}
}

// BenchmarkList lists the backups of one instance among many objects.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 20_000 {
		path := filepath.Join(dir, "db", fmt.Sprint(i/4))
		if i%4 == 0 {
			if err := os.MkdirAll(path, 0o700); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(path, fmt.Sprint(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s := open(b, dir)
	var list []storage.Object
	for b.Loop() {
		var err error
		if list, err = s.List(b.Context(), "db/"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(list)), "objects")
}
