package pgarchive

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// read is an archive's verifier and the statements that read rows.
func read(t *testing.T, archive []byte) (*Verifier, []Copy) {
	t.Helper()
	var copies []Copy
	v := NewVerifier()
	v.OnEntry = func(e Entry) {
		if e.Copy.Statement != "" {
			copies = append(copies, e.Copy)
		}
	}
	for piece := range slices.Chunk(archive, 777) {
		if _, err := v.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return v, copies
}

// TestRewrite puts texts before statements of archives of real pg_dumps.
func TestRewrite(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dump")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		archive, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, copies := read(t, archive)
		if len(copies) < 2 {
			t.Fatalf("%s: %v", file, copies)
		}
		texts := []Before{{copies[0], "SELECT 1;\n"}, {copies[len(copies)-1], "SELECT 22;\n"}}
		changed := append(v.Rewrite(archive[:v.HeadSize()], texts), archive[v.HeadSize():]...)
		_, got := read(t, changed)
		if len(got) != len(copies) || len(changed) != len(archive)+21 {
			t.Fatalf("%s: %d statements instead of %d, and %d bytes for %d", file, len(got), len(copies), len(changed), len(archive))
		}
		for i, c := range copies {
			want := c.Statement
			switch i {
			case 0:
				want = "SELECT 1;\n" + want
			case len(copies) - 1:
				want = "SELECT 22;\n" + want
			}
			if got[i].Statement != want {
				t.Errorf("%s: %q instead of %q", file, got[i].Statement, want)
			}
		}
	}
}
