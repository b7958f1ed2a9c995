package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	part    = 64 << 10
	segment = 3 * part // what one file takes in these tests
)

// tightStore limits a file to 3 parts of 64 KiB, and holds the writer to it.
type tightStore struct{ storage.Store }

type tightWriter struct{ storage.Writer }

func (tightStore) Limits() storage.Limits { return storage.Limits{MaxParts: 3, MaxPart: part} }

func (s tightStore) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	return tightWriter{w}, err
}

func (w tightWriter) WritePart(ctx context.Context, n int, offset int64, p []byte) error {
	if n > 3 || len(p) > part {
		return errors.New("400 Bad Request")
	}
	return w.Writer.WritePart(ctx, n, offset, p)
}

func newTightBed(t *testing.T) *bed {
	b := newBed(t)
	b.store = tightStore{b.store}
	return b
}

// stored is a dump of which so many bytes are stored, up to a chunk.
func (b *bed) stored(n int) []byte {
	header := 30 + (b.key.N.BitLen()+7)/8
	return noise(n - header - 16)
}

// run makes a backup of dumps that are not compressed.
func (b *bed) uncompressed(streams ...Stream) (*catalog.Manifest, error) {
	run := b.backup(streams...)
	run.Compression = compress.Spec{Algorithm: compress.None}
	return run.Run(b.t.Context())
}

// chained is a backup whose dump is in four files, after the globals' one.
func (b *bed) chained() *catalog.Manifest {
	b.t.Helper()
	m, err := b.uncompressed(Stream{Kind: catalog.KindGlobals, Dump: dumpOf([]byte("CREATE ROLE x;")).Dump}, dumpOf(b.stored(3*segment+part)))
	if err != nil {
		b.t.Fatal(err)
	}
	if len(m.Files) != 5 || len(m.Chain(m.Files[1])) != 4 {
		b.t.Fatalf("the files are %+v", m.Files)
	}
	return m
}

func (b *bed) file(m *catalog.Manifest, i int) string {
	return filepath.Join(b.root, "shop", m.ID, m.Files[i].Name)
}

// restoreChain is the restore of a backup's dump.
func (b *bed) restoreChain(m *catalog.Manifest, target func(context.Context, io.Reader) error) *Restore {
	return &Restore{File: SealedFile(b.store, m, m.Files[1]), Key: b.key, Proved: true, Target: target, Progress: new(Progress)}
}

func TestAroundTheSegments(t *testing.T) {
	b := newTightBed(t)
	for _, n := range []int{part, segment - 1, segment, segment + 1, segment + part, 2*segment - 1, 2 * segment, 2*segment + 1, 3*segment - 1, 3 * segment, 3*segment + 1} {
		plain := b.stored(n)
		m, err := b.uncompressed(Stream{Kind: catalog.KindGlobals, Dump: dumpOf(plain).Dump}, dumpOf(plain))
		if err != nil {
			t.Fatal(err)
		}
		half := (n + segment - 1) / segment
		if len(m.Files) != 2*half || (m.Version == catalog.LayoutChains) != (half > 1) {
			t.Fatalf("%d bytes: layout %d of %d files", n, m.Version, len(m.Files))
		}
		for _, head := range []int{0, half} {
			wantChain(t, m.Chain(m.Files[head]), n, int64(len(plain)))
			var back bytes.Buffer
			r := b.restoreChain(m, into(&back))
			r.File = SealedFile(b.store, m, m.Files[head])
			if err := r.Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), plain) {
				t.Errorf("%d bytes: %d came back, %v", n, back.Len(), err)
			}
			if s := r.Progress.Snapshot(); s.Total != int64(n) {
				t.Errorf("%d bytes: progress is %+v", n, s)
			}
		}
		b.wantVerified(m, nil)
	}
}

func wantChain(t *testing.T, files []catalog.File, stored int, plain int64) {
	t.Helper()
	if files[0].PlainBytes != plain {
		t.Errorf("%d bytes of dump instead of %d", files[0].PlainBytes, plain)
	}
	total := 0
	for i, f := range files {
		total += int(f.StoredBytes)
		if f.Continues != (i > 0) || (i < len(files)-1 && f.StoredBytes != segment) {
			t.Errorf("file %d of a chain is %+v", i, f)
		}
	}
	if total != stored {
		t.Errorf("%d bytes are stored instead of %d", total, stored)
	}
}

// wantVerified verifies with and without the key: the files of bad differ or
// are not there, and no others.
func (b *bed) wantVerified(m *catalog.Manifest, bad []int) {
	b.t.Helper()
	for _, v := range []*Verify{{Store: b.store}, {Store: b.store, Key: b.key, Progress: new(Progress)}} {
		checked, err := v.Run(b.t.Context(), m)
		if err != nil || len(checked) != len(m.Files) {
			b.t.Fatalf("verify says %+v, %v", checked, err)
		}
		for i, c := range checked {
			if c.File.Name != m.Files[i].Name || c.Opened != (v.Key != nil) {
				b.t.Errorf("file %d is told as %+v", i, c)
			}
			seen := errors.Is(c.Err, ErrDiffers) || errors.Is(c.Err, storage.ErrNotFound)
			if seen != slices.Contains(bad, i) || (c.Err != nil) != seen {
				b.t.Errorf("file %d: %v", i, c.Err)
			}
			name := catalog.Path("shop", m.ID, c.File.Name) + ": "
			if c.Err != nil && (!strings.HasPrefix(c.Err.Error(), name) || strings.Contains(c.Err.Error(), name+name)) {
				b.t.Errorf("file %d is not named once: %v", i, c.Err)
			}
		}
	}
}

// TestDamagedSegments harms the files in the middle of a chain in each way that
// a store, or who can write to it, could.
func TestDamagedSegments(t *testing.T) {
	swap := func(b *bed, m *catalog.Manifest, i, j int) {
		tmp := filepath.Join(b.root, "tmp")
		for _, move := range [][2]string{{b.file(m, i), tmp}, {b.file(m, j), b.file(m, i)}, {tmp, b.file(m, j)}} {
			if err := os.Rename(move[0], move[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := map[string]struct {
		harm func(b *bed, m, other *catalog.Manifest)
		bad  []int
	}{
		"lost":          {func(b *bed, m, _ *catalog.Manifest) { os.Remove(b.file(m, 2)) }, []int{2}},
		"the last lost": {func(b *bed, m, _ *catalog.Manifest) { os.Remove(b.file(m, 4)) }, []int{4}},
		"all but the first": {func(b *bed, m, _ *catalog.Manifest) {
			os.Remove(b.file(m, 2))
			os.Remove(b.file(m, 3))
			os.Remove(b.file(m, 4))
		}, []int{2, 3, 4}},
		"reordered":             {func(b *bed, m, _ *catalog.Manifest) { swap(b, m, 2, 3) }, []int{2, 3}},
		"exchanged for another": {func(b *bed, m, other *catalog.Manifest) { os.Rename(b.file(other, 2), b.file(m, 2)) }, []int{2}},
		"one twice": {func(b *bed, m, _ *catalog.Manifest) {
			data, _ := os.ReadFile(b.file(m, 2))
			change(t, b.file(m, 3), func([]byte) []byte { return data })
		}, []int{3}},
		"its end moved to the next": {func(b *bed, m, _ *catalog.Manifest) {
			data, _ := os.ReadFile(b.file(m, 2))
			change(t, b.file(m, 2), func(p []byte) []byte { return p[:len(p)-1] })
			change(t, b.file(m, 3), func(p []byte) []byte { return append(data[len(data)-1:], p...) })
		}, []int{2, 3}},
	}
	for name, how := range damages {
		tests[name] = struct {
			harm func(b *bed, m, other *catalog.Manifest)
			bad  []int
		}{func(b *bed, m, _ *catalog.Manifest) { change(t, b.file(m, 3), how) }, []int{3}}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newTightBed(t)
			m, other := b.chained(), b.chained()
			test.harm(b, m, other)
			err := b.restoreChain(m, untouched(t)).Run(t.Context())
			if !errors.Is(err, ErrDiffers) && !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("restore says %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), m.Files[test.bad[0]].Name) {
				t.Errorf("the file is not named: %v", err)
			}
			b.wantVerified(m, test.bad)
		})
	}
}

// TestManifestThatLiesAboutTheChain takes manifests whose origin is not proved,
// and whose hashes fit.
func TestManifestThatLiesAboutTheChain(t *testing.T) {
	for name, lie := range map[string]func(files []catalog.File) []catalog.File{
		"reordered":    func(f []catalog.File) []catalog.File { f[2], f[3] = f[3], f[2]; return f },
		"one left out": func(f []catalog.File) []catalog.File { return slices.Delete(f, 2, 3) },
		"the last left out": func(f []catalog.File) []catalog.File {
			return f[:4]
		},
		"one twice": func(f []catalog.File) []catalog.File { return slices.Insert(f, 3, f[2]) },
		"another's": func(f []catalog.File) []catalog.File { f[2] = f[0]; f[2].Continues = true; return f },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTightBed(t)
			m := b.chained()
			m.Files = lie(m.Files)
			for i := range m.Files {
				m.Files[i].Order = i
			}
			r := b.restoreChain(m, untouched(t))
			r.Proved, r.Whole = false, true
			if err := r.Run(t.Context()); !errors.Is(err, encryptor.ErrDamaged) && !errors.Is(err, encryptor.ErrTruncated) {
				t.Errorf("restore says %v", err)
			}
			checked, err := (&Verify{Store: b.store, Key: b.key}).Run(t.Context(), m)
			if err != nil || checked[1].Err == nil {
				t.Errorf("verify says %+v, %v", checked, err)
			}
		})
	}
}

// TestSegmentExchangedBetweenTheTwoReadings shows that what comes after the
// first reading must be of the header that it saw.
func TestSegmentExchangedBetweenTheTwoReadings(t *testing.T) {
	for _, exchanged := range [][]int{{2}, {4}, {1, 2, 3, 4}} {
		b := newTightBed(t)
		m, other := b.chained(), b.chained()
		var got bytes.Buffer
		r := b.restoreChain(m, into(&got))
		all := append([]*Sealed{&r.File}, &r.File.Rest[0], &r.File.Rest[1], &r.File.Rest[2])
		for _, i := range exchanged {
			good, err := os.ReadFile(b.file(m, i))
			if err != nil {
				t.Fatal(err)
			}
			bad, err := os.ReadFile(b.file(other, i))
			if err != nil {
				t.Fatal(err)
			}
			all[i-1].Open = exchange(good, bad)
		}
		if err := r.Run(t.Context()); !errors.Is(err, encryptor.ErrDamaged) || got.Len() != 0 {
			t.Errorf("%v: %d bytes came out, %v", exchanged, got.Len(), err)
		}
	}
}

// TestSegmentLostBetweenTheTwoReadings names the file that is lost, and only it.
func TestSegmentLostBetweenTheTwoReadings(t *testing.T) {
	b := newTightBed(t)
	m := b.chained()
	r := b.restoreChain(m, into(new(bytes.Buffer)))
	lost, first := &r.File.Rest[1], true
	open := lost.Open
	lost.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		if !first {
			return nil, storage.ErrNotFound
		}
		first = false
		return open(ctx, offset)
	}
	err := r.Run(t.Context())
	if wantStage(t, err, StageDecrypt, storage.ErrNotFound); err != nil && (!strings.Contains(err.Error(), lost.Name) || strings.Contains(err.Error(), r.File.Name)) {
		t.Errorf("error is %v", err)
	}
}

// TestHeaderOverSeveralFiles has a store whose files are shorter than a header.
func TestHeaderOverSeveralFiles(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(1000))
	data, err := os.ReadFile(b.path(m))
	if err != nil {
		t.Fatal(err)
	}
	whole := SealedFile(b.store, m, m.Files[0])
	var files []Sealed
	for piece := range slices.Chunk(data, 100) {
		f := FromFile("a piece", bytes.NewReader(piece))
		f.StoredBytes, f.PlainBytes = int64(len(piece)), whole.PlainBytes
		files = append(files, f)
	}
	r := &Restore{File: files[0], Key: b.key}
	r.File.Rest = files[1:]
	var back bytes.Buffer
	r.Target = into(&back)
	if err := r.Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), noise(1000)) {
		t.Errorf("%d bytes came back, %v", back.Len(), err)
	}
}
