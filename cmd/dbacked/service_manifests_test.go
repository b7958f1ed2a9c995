package main

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

// TestManifests reads a manifest once, and anything else, and what is too large, each
// time anew.
func TestManifests(t *testing.T) {
	folder, err := localdir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var m manifests
	store := m.over(folder)
	for name, size := range map[string]int{"a/1/manifest": 100, "a/2/manifest": largestManifest + 1, "a/1/0000.dbacked": 100} {
		data := bytes.Repeat([]byte("x"), size)
		if err := folder.Put(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, store, name); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes", name, len(got))
		}
		if err := folder.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if got := readAll(t, store, "a/1/manifest"); len(got) != 100 {
		t.Errorf("read again: %d bytes", len(got))
	}
	for _, name := range []string{"a/2/manifest", "a/1/0000.dbacked"} {
		if _, err := store.Open(t.Context(), name, 0); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readAll(t *testing.T, store storage.Store, name string) []byte {
	t.Helper()
	r, err := store.Open(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
