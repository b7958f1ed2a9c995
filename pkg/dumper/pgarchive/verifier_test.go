package pgarchive

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verify passes an archive through a Verifier in pieces of a size.
func verify(archive []byte, size int) error {
	v := NewVerifier()
	for p := archive; len(p) > 0; {
		n, err := v.Write(p[:min(size, len(p))])
		if err != nil {
			return errors.Join(err, v.Close())
		}
		p = p[n:]
	}
	return v.Close()
}

// archives are one built for each version, and real ones.
func archives(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for minor := minMinor; minor <= maxMinor; minor++ {
		all[fmt.Sprintf("1.%d", minor)] = sample(minor)
	}
	paths, err := filepath.Glob("testdata/*.dump")
	if err != nil || len(paths) < 3 {
		t.Fatalf("found %d real archives, %v", len(paths), err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = data
	}
	return all
}

// TestOnlyTheWholeArchivePasses cuts archives at every byte.
func TestOnlyTheWholeArchivePasses(t *testing.T) {
	for name, archive := range archives(t) {
		t.Run(name, func(t *testing.T) {
			if err := verify(archive, len(archive)); err != nil {
				t.Fatalf("the whole archive: %v", err)
			}
			for n := range archive {
				if err := verify(archive[:n], len(archive)); !errors.Is(err, ErrIncomplete) {
					t.Fatalf("cut at byte %d of %d: %v", n, len(archive), err)
				}
			}
			if err := verify(append(bytes.Clone(archive), 0), len(archive)); !errors.Is(err, ErrDamaged) {
				t.Errorf("a byte after the end: %v", err)
			}
			if err := verify(append(bytes.Clone(archive), 1), len(archive)); !errors.Is(err, ErrIncomplete) {
				t.Errorf("the begin of a block after the end: %v", err)
			}
		})
	}
}

func TestPiecesOfAnySize(t *testing.T) {
	for name, archive := range archives(t) {
		for size := 1; size < 40; size++ {
			if err := verify(archive, size); err != nil {
				t.Errorf("%s in pieces of %d bytes: %v", name, size, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	whole := sample(15)
	at := func(i int, b byte) []byte {
		c := bytes.Clone(whole)
		c[i] = b
		return c
	}
	twice := &build{minor: 15}
	twice.header(2)
	twice.entry(5, "TABLE DATA", "a", "", 1)
	twice.entry(5, "TABLE DATA", "b", "", 1)
	again := &build{minor: 15}
	again.header(1)
	again.entry(5, "TABLE DATA", "a", "", 1)
	again.data(5)
	again.data(5)
	huge := &build{minor: 15}
	huge.header(1)
	huge.entry(1<<30, "TABLE DATA", "a", "", 1)

	for name, test := range map[string]struct {
		archive []byte
		want    error
		text    string
	}{
		"empty":            {nil, ErrIncomplete, "it is empty"},
		"SQL":              {[]byte("--\n-- PostgreSQL database dump\n"), ErrNotArchive, ""},
		"begin of SQL":     {[]byte("-"), ErrNotArchive, ""},
		"tar":              {at(10, 3), ErrNotArchive, "format 3"},
		"a later version":  {at(6, 17), ErrUnsupported, "1.17; 1.10 to 1.16 are known"},
		"another major":    {at(5, 2), ErrUnsupported, "2.15"},
		"width of numbers": {at(8, 9), ErrDamaged, "numbers of 9 bytes"},
		"same id twice":    {twice.Bytes(), ErrDamaged, "two entries with the number 5"},
		"a block twice":    {again.Bytes(), ErrDamaged, "a block for entry 5"},
		"a huge id":        {huge.Bytes(), ErrDamaged, "number 1073741824"},
	} {
		err := verify(test.archive, 1)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.want, test.text)
		}
	}
}

// TestNamesWhatIsMissing cuts at the ends of blocks, where pg_restore's own
// format shows nothing.
func TestNamesWhatIsMissing(t *testing.T) {
	whole := sample(16)
	blocks := bytes.Index(whole, []byte{blockData, 0, 70, 0, 0, 0})
	second := bytes.Index(whole, []byte{blockData, 0, 71, 0, 0, 0})
	third := bytes.Index(whole, []byte{blockBlobs, 0, 90, 0, 0, 0})
	for cut, want := range map[int]string{
		blocks:     "the data of 3 of 3 entries is missing; the first is TABLE DATA public.orders",
		second:     "the data of 2 of 3 entries is missing; the first is TABLE DATA public.empty",
		third:      "the data of 1 of 3 entries is missing; the first is BLOBS public.BLOBS",
		second - 1: "within the data of TABLE DATA public.orders",
	} {
		err := verify(whole[:cut], 7)
		if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), want) {
			t.Errorf("cut at %d: %v, want %q", cut, err, want)
		}
	}
}

func TestEntriesAndHeader(t *testing.T) {
	var got []Entry
	v := NewVerifier()
	v.OnEntry = func(e Entry) { got = append(got, e) }
	v.KeepDefn = func(desc, tag string) bool { return desc == "TABLE" && tag == "orders" }
	defer v.Close()
	for _, b := range sample(16) {
		if _, err := v.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	want := []Entry{
		{ID: 5, Desc: "TABLE", Tag: "orders", Namespace: "public", Owner: "alice", Defn: "CREATE TABLE …"},
		{ID: 70, Desc: "TABLE DATA", Tag: "orders", Namespace: "public", Owner: "alice", HasData: true},
		{ID: 71, Desc: "TABLE DATA", Tag: "empty", Namespace: "public", Owner: "alice", HasData: true},
		{ID: 90, Desc: "BLOBS", Tag: "BLOBS", Namespace: "public", Owner: "alice", HasData: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Entry{}, "Copy")); diff != "" {
		t.Error(diff)
	}
	h, ok := v.Header()
	if diff := cmp.Diff(Header{Major: 1, Minor: 16, Database: "shop", ServerVersion: "15.18 (Debian)", ToolVersion: "15.17"}, h); diff != "" || !ok {
		t.Error(ok, diff)
	}
	if !v.Ready() || v.Entries() != 4 {
		t.Errorf("ready %v, %d entries", v.Ready(), v.Entries())
	}
}

// TestMemoryIsBounded walks a table of contents of 100 000 entries with data,
// none of which comes.
func TestMemoryIsBounded(t *testing.T) {
	const n = 100_000
	head, entry := &build{minor: 16}, &build{minor: 16}
	head.header(n)
	v := NewVerifier()
	defer v.Close()
	if _, err := v.Write(head.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		entry.Reset()
		entry.entry(i+1, "TABLE DATA", fmt.Sprintf("a table with the number %d", i+1), "", 1)
		if _, err := v.Write(entry.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if v.toc.kept > maxNamed || len(v.toc.due) > n/64+1 {
		t.Errorf("%d bytes of names, %d words of bits", v.toc.kept, len(v.toc.due))
	}
	for i := range v.toc.named {
		v.toc.settle(int64(i + 1))
	}
	err := v.Close()
	if want := fmt.Sprintf("the first is entry %d", len(v.toc.named)+1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestCloseTwiceAndWriteAfter(t *testing.T) {
	v := NewVerifier()
	if _, err := v.Write(sample(15)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Write([]byte{1}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a write after the end: %v", err)
	}
}

func FuzzVerifier(f *testing.F) {
	for _, archive := range archives(f) {
		f.Add(archive, uint64(1))
	}
	f.Fuzz(func(t *testing.T, archive []byte, seed uint64) {
		whole := verify(archive, len(archive)+1)
		random := rand.New(rand.NewPCG(seed, 0))
		v := NewVerifier()
		for p := archive; len(p) > 0; { // the same in pieces
			n, err := v.Write(p[:1+random.IntN(min(len(p), 50))])
			if err != nil {
				break
			}
			p = p[n:]
		}
		if pieces := v.Close(); (whole == nil) != (pieces == nil) {
			t.Errorf("in one piece %v, in several %v", whole, pieces)
		}
		if whole == nil && verify(archive[:len(archive)-1], len(archive)) == nil {
			t.Error("passes without its last byte")
		}
	})
}

// BenchmarkVerifier passes rows of 100 bytes, each of which is a piece.
func BenchmarkVerifier(b *testing.B) {
	for _, size := range []int{100, 1000, 30_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			head, rows := &build{minor: 15}, &build{minor: 15}
			head.header(1)
			head.entry(1, "TABLE DATA", "t", "", 1)
			head.WriteByte(blockData)
			head.int(1)
			for rows.Len() < 64<<20 {
				rows.str(strings.Repeat("x", size))
			}
			v := NewVerifier()
			defer v.Close()
			if _, err := v.Write(head.Bytes()); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(rows.Len()))
			for b.Loop() {
				for p := rows.Bytes(); len(p) > 0; {
					n, err := v.Write(p[:min(256<<10, len(p))])
					if err != nil {
						b.Fatal(err)
					}
					p = p[n:]
				}
			}
		})
	}
}

// TestCountsRows cuts what COPY writes into pieces of any size.
func TestCountsRows(t *testing.T) {
	for text, want := range map[string]Block{
		"1\tone\n2\ttwo\\n\n" + copyEnd:      {ID: 70, Rows: 2, Bytes: 14},
		copyEnd:                              {ID: 70, Rows: 0, Bytes: 0},
		"\n\n\n" + copyEnd:                   {ID: 70, Rows: 3, Bytes: 3}, // of no columns
		"INSERT INTO t VALUES ('\n');\n\n\n": {ID: 70, Rows: -1, Bytes: 30},
	} {
		for size := 1; size <= len(text); size++ {
			b := &build{minor: 16}
			b.header(1)
			b.entry(70, "TABLE DATA", "orders", "", 1)
			var pieces []string
			for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
				pieces = append(pieces, rest[:min(size, len(rest))])
			}
			b.data(70, pieces...)
			for step := 1; step < 20; step += 6 {
				var got []Block
				v := NewVerifier()
				v.OnBlock = func(b Block) { got = append(got, b) }
				for p := b.Bytes(); len(p) > 0; p = p[min(step, len(p)):] {
					if _, err := v.Write(p[:min(step, len(p))]); err != nil {
						t.Fatal(err)
					}
				}
				if err := v.Close(); err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("%q in pieces of %d, written by %d: %+v, %v", text, size, step, got, err)
				}
			}
		}
	}
}

// TestVerifierDependencies: what an entry needs is kept when it is asked for, and
// the table of contents ends where the data begins.
func TestVerifierDependencies(t *testing.T) {
	for _, keep := range []bool{true, false} {
		archive := sample(14)
		v := NewVerifier()
		v.KeepDependencies = keep
		var entries []Entry
		v.OnEntry = func(e Entry) { entries = append(entries, e) }
		for _, b := range archive { // byte by byte
			if _, err := v.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		if got := entries[0].Dependencies; slices.Equal(got, []int{12, 13}) != keep {
			t.Errorf("kept %t: %v", keep, got)
		}
		if at := v.HeadSize(); archive[at] != blockData || archive[at+2] != 70 {
			t.Errorf("the head is said to end at %d", at)
		}
	}
}
