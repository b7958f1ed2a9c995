package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is n bytes that compress as rows do.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%d\t%x\torder of the day\t%d\n", b.Len(), r.Uint64(), r.IntN(100))
	}
	return b.Bytes()[:n]
}

func pack(t testing.TB, spec Spec, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(packed io.Reader) ([]byte, error) {
	r, err := NewReader(packed)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func specs() []Spec {
	all := []Spec{{}, {Algorithm: Gzip}, {Algorithm: None}}
	for _, level := range []int{minLevel, 3, 7, maxLevel} { // klauspost knows four
		all = append(all, Spec{Algorithm: Zstd, Level: level})
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	all := text(3 << 20)
	for _, spec := range specs() {
		for _, n := range []int{0, 1, 3, 4, 5, 128<<10 - 1, 128 << 10, 128<<10 + 1, encoderWindow + 7, 3 << 20} {
			plain := all[:n]
			got, err := unpack(iotest.HalfReader(bytes.NewReader(pack(t, spec, plain))))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s, %d bytes: %d bytes back, %v", spec, n, len(got), err)
			}
		}
	}
}

func TestReadFromIsTheSame(t *testing.T) {
	plain := text(1 << 20)
	for _, spec := range []Spec{{}, {Algorithm: Gzip}, {Algorithm: None}} {
		var b bytes.Buffer
		w, err := NewWriter(&b, spec)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.ReadFrom(bytes.NewReader(plain)); n != int64(len(plain)) || err != nil {
			t.Fatalf("%s: %d, %v", spec, n, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := unpack(&b); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%s: %d bytes back, %v", spec, len(got), err)
		}
	}
}

func TestDamage(t *testing.T) {
	plain := text(300 << 10)
	for _, spec := range []Spec{{}, {Algorithm: Gzip}} {
		packed := pack(t, spec, plain)
		for name, bad := range map[string][]byte{
			"one byte more":     append(bytes.Clone(packed), 0),
			"a second stream":   append(bytes.Clone(packed), packed...),
			"cut by one byte":   packed[:len(packed)-1],
			"cut in the middle": packed[:len(packed)/2],
			"cut in the header": packed[:5],
		} {
			if _, err := unpack(bytes.NewReader(bad)); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: %v", spec, name, err)
			}
		}
	}
}

// A stream read by WriteTo ends as it does when read by Read.
func TestWriteTo(t *testing.T) {
	plain := text(300 << 10)
	broken := errors.New("the line broke")
	writeTo := func(packed io.Reader, w io.Writer) error {
		r, err := NewReader(packed)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = r.WriteTo(w)
		if _, again := r.WriteTo(io.Discard); again != err {
			t.Errorf("%v, and then %v", err, again)
		}
		return err
	}
	for _, spec := range specs() {
		packed := pack(t, spec, plain)
		var out bytes.Buffer
		if err := writeTo(bytes.NewReader(packed), &out); err != nil || !bytes.Equal(out.Bytes(), plain) {
			t.Errorf("%s: %d bytes back, %v", spec, out.Len(), err)
		}
		err := writeTo(io.MultiReader(bytes.NewReader(packed), iotest.ErrReader(broken)), io.Discard)
		if !errors.Is(err, broken) {
			t.Errorf("%s, source fails: %v", spec, err)
		}
		r, w := io.Pipe()
		r.CloseWithError(broken)
		if err := writeTo(bytes.NewReader(packed), w); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s, sink fails: %v", spec, err)
		}
		if spec.Algorithm == None {
			continue
		}
		for name, bad := range map[string][]byte{"longer": append(bytes.Clone(packed), 0), "twice": append(bytes.Clone(packed), packed...), "cut": packed[:len(packed)-1]} {
			if err := writeTo(bytes.NewReader(bad), io.Discard); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: %v", spec, name, err)
			}
		}
	}
}

func TestNothingIsReadAfterClose(t *testing.T) {
	for _, spec := range specs() {
		r, err := NewReader(bytes.NewReader(pack(t, spec, text(1000))))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%s: %d, %v", spec, n, err)
		}
	}
}

// What other programs write is read, and the other way round.
func TestZstdProgram(t *testing.T) {
	for _, name := range []string{"zstd", "gzip"} {
		program, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		plain := text(3 << 20)
		run := func(in []byte, args ...string) []byte {
			cmd := exec.Command(program, args...)
			cmd.Stdin = bytes.NewReader(in)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(name, args, err)
			}
			return out
		}
		for _, level := range []string{"-1", "-9"} {
			if got, err := unpack(bytes.NewReader(run(plain, level, "-c"))); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s %s: %d bytes, %v", name, level, len(got), err)
			}
		}
		for _, spec := range specs() {
			if spec.Algorithm == name || name == Zstd && spec.Algorithm == "" {
				if got := run(pack(t, spec, plain), "-d", "-c"); !bytes.Equal(got, plain) {
					t.Errorf("%s of %s: %d bytes", name, spec, len(got))
				}
			}
		}
	}
}

func TestEveryCutIsSeen(t *testing.T) {
	for _, spec := range []Spec{{}, {Algorithm: Gzip}} {
		packed := pack(t, spec, text(2000))
		for n := len(zstdMagic); n < len(packed); n++ {
			if _, err := unpack(bytes.NewReader(packed[:n])); err == nil {
				t.Fatalf("%s: cut at %d of %d passes", spec, n, len(packed))
			}
		}
	}
}

func TestSourceErrorComesThrough(t *testing.T) {
	broken := errors.New("the line broke")
	for _, spec := range []Spec{{}, {Algorithm: Gzip}, {Algorithm: None}} {
		packed := pack(t, spec, text(300<<10))
		for _, n := range []int{0, 2, 4, 6, len(packed) / 2, len(packed) - 1, len(packed)} {
			_, err := unpack(io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(broken)))
			if !errors.Is(err, broken) {
				t.Errorf("%s, after %d bytes: %v", spec, n, err)
			}
		}
	}
}

func TestWindowIsBounded(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(4*maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFrom(bytes.NewReader(bytes.Repeat(text(1<<20), 5*maxWindow>>20))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(&b); !errors.Is(err, ErrDamaged) {
		t.Errorf("a window of %d MiB: %v", 4*maxWindow>>20, err)
	}
}

func TestAbortFreesAndWritesNoEnd(t *testing.T) {
	for _, spec := range []Spec{{}, {Algorithm: Gzip}, {Algorithm: None}} {
		var b bytes.Buffer
		w, err := NewWriter(&b, spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text(1 << 20)); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if spec.Algorithm == None {
			continue
		}
		if _, err := unpack(&b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: what was aborted passes: %v", spec, err)
		}
	}
}

func TestParseSpec(t *testing.T) {
	for in, want := range map[string]string{"zstd": "zstd:1", "zstd:1": "zstd:1", "zstd:19": "zstd:19", "gzip": "gzip", "none": "none"} {
		spec, err := ParseSpec(in)
		if err != nil || spec.String() != want {
			t.Errorf("%q: %s, %v", in, spec, err)
		}
	}
	for _, in := range []string{"", "zstd:", "zstd:0", "zstd:20", "zstd:x", "gzip:1", "none:1", "lz4", "ZSTD"} {
		if _, err := ParseSpec(in); err == nil || !strings.Contains(err.Error(), "give") {
			t.Errorf("%q: %v", in, err)
		}
	}
	if got := (Spec{}).String(); got != "zstd:1" {
		t.Errorf("the zero value is %s", got)
	}
}

func FuzzReader(f *testing.F) {
	for _, spec := range []Spec{{}, {Algorithm: Gzip}, {Algorithm: None}} {
		f.Add(pack(f, spec, text(1000)))
		f.Add(pack(f, spec, nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		io.Copy(io.Discard, io.LimitReader(r, 64<<20))
	})
}
