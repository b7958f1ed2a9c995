package catalog

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

const (
	id1 = "20261122T215643Z-7f3c2a"
	id2 = "20261123T215643Z-000001"
	sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func signer(t testing.TB) (*Signer, Trust) {
	t.Helper()
	s := must[*Signer](t)(LoadOrCreateSigner(t.TempDir()))
	return s, must[Trust](t)(ParseTrust([]string{s.Verifier()}))
}

// fixedSigner has the same key in every process that fuzzes.
func fixedSigner(t testing.TB) (*Signer, Trust) {
	t.Helper()
	private, public, err := note.GenerateKey(strings.NewReader(strings.Repeat("k", 64)), keyName)
	ok(t, err)
	s := &Signer{must[note.Signer](t)(note.NewSigner(private)), public}
	return s, must[Trust](t)(ParseTrust([]string{public}))
}

func store(t testing.TB) (s *localdir.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s = must[*localdir.Store](t)(localdir.Open(dir))
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

// manifest is a good one of two files.
func manifest(id string) *Manifest {
	start := time.Date(2026, 11, 22, 21, 56, 43, 0, time.UTC)
	return &Manifest{
		Version: 1, ID: id, Instance: "mydb", Engine: "postgresql", ServerVersion: "15.4 (Debian 15.4-1)", ToolVersion: "15.4",
		Database: "we ird\"s\n🐘 $x", Started: start, Finished: start.Add(time.Minute), AgentID: "agent", AgentVersion: "1.0.0",
		Compression: "zstd:1", Recipients: []string{sum},
		Files: []File{
			{Name: "0000.dbacked", Kind: KindGlobals, Order: 0, Format: "1.0.0", StoredBytes: 3, SHA256: sum},
			{Name: "0001.dbacked", Kind: KindDump, Order: 1, Format: "1.0.0", StoredBytes: 4, PlainBytes: 10, SHA256: sum},
		},
	}
}

// backUp stores a backup of two small files and its manifest.
func backUp(t testing.TB, s storage.Store, id string, by *Signer) {
	t.Helper()
	ok(t, s.Put(t.Context(), Path("mydb", id, "0000.dbacked"), []byte("one")))
	ok(t, s.Put(t.Context(), Path("mydb", id, "0001.dbacked"), []byte("four")))
	ok(t, Commit(t.Context(), s, manifest(id), by))
}

// rewrite changes a stored file behind the store's back.
func rewrite(t testing.TB, dir, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	data := must[[]byte](t)(os.ReadFile(path))
	ok(t, os.WriteFile(path, change(data), 0o600))
}

func replaced(from, to string) func([]byte) []byte {
	return func(data []byte) []byte { return []byte(strings.Replace(string(data), from, to, 1)) }
}

func names(t testing.TB, s storage.Store) (all []string) {
	t.Helper()
	for _, o := range must[[]storage.Object](t)(s.List(t.Context(), "")) {
		all = append(all, o.Name)
	}
	return all
}

// broken is a real store in which one object cannot be read.
type broken struct {
	storage.Store
	name string
	err  error
}

func (b broken) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if name == b.name {
		return nil, b.err
	}
	return b.Store.Open(ctx, name, offset)
}
