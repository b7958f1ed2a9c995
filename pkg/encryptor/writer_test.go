package encryptor_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// ways are the ways to hand plaintext to a Writer.
func ways() map[string]func(w *encryptor.Writer, plain []byte) error {
	pieces := func(size int) func(w *encryptor.Writer, plain []byte) error {
		return func(w *encryptor.Writer, plain []byte) error {
			for len(plain) > 0 {
				n := min(size, len(plain))
				// The Writer may keep nothing of what it was given.
				piece := bytes.Clone(plain[:n])
				if k, err := w.Write(piece); err != nil || k != n {
					return fmt.Errorf("wrote %d of %d: %w", k, n, err)
				}
				clear(piece)
				plain = plain[n:]
			}
			return nil
		}
	}
	return map[string]func(w *encryptor.Writer, plain []byte) error{
		"whole":      pieces(1 << 30),
		"chunks":     pieces(chunkSize),
		"pieces":     pieces(100_000),
		"twoAndHalf": pieces(5 * chunkSize / 2),
		"readFrom": func(w *encryptor.Writer, plain []byte) error {
			n, err := w.ReadFrom(bytes.NewReader(plain))
			if n != int64(len(plain)) {
				return fmt.Errorf("read %d of %d", n, len(plain))
			}
			return err
		},
		"readFromWithEOF": func(w *encryptor.Writer, plain []byte) error {
			_, err := w.ReadFrom(iotest.DataErrReader(bytes.NewReader(plain)))
			return err
		},
		"mixed": func(w *encryptor.Writer, plain []byte) error {
			half := len(plain) / 2
			if err := pieces(chunkSize)(w, plain[:half]); err != nil {
				return err
			}
			if _, err := w.ReadFrom(bytes.NewReader(plain[half:])); err != nil {
				return err
			}
			_, err := w.Write(nil)
			return err
		},
		"chunkThenReadFrom": func(w *encryptor.Writer, plain []byte) error {
			first := min(len(plain), chunkSize)
			if err := pieces(chunkSize)(w, plain[:first]); err != nil {
				return err
			}
			_, err := w.ReadFrom(bytes.NewReader(plain[first:]))
			return err
		},
	}
}

func TestRoundTrips(t *testing.T) {
	key := testKey(t, "small")
	for format, numbers := range map[encryptor.Format][]int{encryptor.V1: {1, 3}, encryptor.Legacy: {0}} { // which has none
		for _, workers := range numbers {
			for way, feed := range ways() {
				t.Run(fmt.Sprint(format, workers, way), func(t *testing.T) {
					for _, n := range boundaries() {
						plain := pattern(n)
						var out bytes.Buffer
						w, err := encryptor.NewWriter(&out, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{Format: format, Workers: workers})
						if err != nil {
							t.Fatal(err)
						}
						if err := feed(w, plain); err != nil {
							t.Fatal(err)
						}
						if err := w.Close(); err != nil {
							t.Fatal(err)
						}
						if got, err := open(out.Bytes(), key); err != nil || !bytes.Equal(got, plain) {
							t.Errorf("%d bytes: %d, %v", n, len(got), err)
						}
						if want := sealedSize(format, n); out.Len() != want {
							t.Errorf("%d bytes: sealed to %d, want %d", n, out.Len(), want)
						}
					}
				})
			}
		}
	}
}

// sealedSize is the size of a file for one recipient of 2048 bits.
func sealedSize(f encryptor.Format, n int) int {
	const header = 14 + 256 + 16
	if f == encryptor.Legacy {
		return header + n/16*16 + 16
	}
	return header + n + tagSize*max(1, (n+chunkSize-1)/chunkSize)
}

func TestSealedTwiceDiffers(t *testing.T) {
	key := testKey(t, "small")
	one := seal(t, pattern(100), encryptor.WriterOptions{}, &key.PublicKey)
	two := seal(t, pattern(100), encryptor.WriterOptions{}, &key.PublicKey)
	if bytes.Equal(one[len(one)-116:], two[len(two)-116:]) {
		t.Error("the same key and IV twice")
	}
}

func TestNothingIsWrittenBeforeData(t *testing.T) {
	key := testKey(t, "small")
	var out bytes.Buffer
	w, err := encryptor.NewWriter(&out, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Abort(nil)
	if out.Len() != 0 {
		t.Errorf("%d bytes", out.Len())
	}
	if err := w.Close(); err == nil {
		t.Error("closed well after Abort")
	}
}

// However far a Writer got before Abort, what it wrote is no whole file.
func TestAbortNeverMakesAWholeFile(t *testing.T) {
	key, cause := testKey(t, "small"), errors.New("the dump failed")
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		for _, n := range boundaries() {
			out := make(chan []byte, 1)
			r, pw := io.Pipe()
			go func() {
				b, _ := io.ReadAll(r)
				out <- b
			}()
			w, err := encryptor.NewWriter(pw, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{Format: format})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(pattern(n)); err != nil {
				t.Fatal(err)
			}
			w.Abort(cause)
			w.Abort(errors.New("a later cause"))
			if err := w.Close(); !errors.Is(err, cause) {
				t.Errorf("close: %v", err)
			}
			if _, err := w.Write([]byte{1}); !errors.Is(err, cause) {
				t.Errorf("write: %v", err)
			}
			if err := pw.CloseWithError(cause); err != nil {
				t.Fatal(err)
			}
			// A legacy file may look whole by luck, one time in 256.
			if _, err := open(<-out, key); err == nil && format == encryptor.V1 {
				t.Errorf("%d bytes: opens", n)
			}
		}
	}
}

func TestReadFromFailingSourceAborts(t *testing.T) {
	key, cause := testKey(t, "small"), errors.New("the pipe broke")
	for _, n := range boundaries() {
		var out bytes.Buffer
		w, err := encryptor.NewWriter(&out, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		source := io.MultiReader(bytes.NewReader(pattern(n)), iotest.ErrReader(cause))
		if _, err := io.Copy(w, source); !errors.Is(err, cause) {
			t.Errorf("copy: %v", err)
		}
		if err := w.Close(); !errors.Is(err, cause) {
			t.Errorf("close: %v", err)
		}
	}
}

// brokenWriter fails once it has taken some bytes.
type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left < len(p) {
		return w.left, w.err
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriteErrorsAreReported(t *testing.T) {
	key, cause := testKey(t, "small"), errors.New("no space left on device")
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		for _, left := range []int{0, 285, 286, 300, chunkSize + 302, 2*chunkSize + 5} {
			for _, n := range []int{1, chunkSize, 2*chunkSize + 100, 30 * chunkSize} {
				if left >= sealedSize(format, n) {
					continue
				}
				for _, want := range []error{cause, nil} { // nil: a short write without an error
					broken := &brokenWriter{left: left, err: want}
					w, err := encryptor.NewWriter(broken, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{Format: format})
					if err != nil {
						t.Fatal(err)
					}
					if want == nil {
						want = io.ErrShortWrite
					}
					if _, err := w.Write(pattern(n)); err != nil && !errors.Is(err, want) {
						t.Errorf("write: %v", err)
					}
					if err := w.Close(); !errors.Is(err, want) {
						t.Errorf("%v, %d bytes, room for %d: close: %v", format, n, left, err)
					}
				}
			}
		}
	}
}

// Abort frees a Write that waits for a reader who does not come.
func TestAbortFreesABlockedWrite(t *testing.T) {
	key, cause := testKey(t, "small"), errors.New("stopped")
	r, pw := io.Pipe()
	w, err := encryptor.NewWriter(pw, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		_, err := w.ReadFrom(&repeated{plain: pattern(chunkSize), left: 1 << 40})
		result <- err
	}()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil { // it is under way
		t.Fatal(err)
	}
	w.Abort(cause)
	if err := <-result; !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := w.Close(); !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := r.CloseWithError(cause); err != nil { // frees the write below
		t.Fatal(err)
	}
}

func TestAfterClose(t *testing.T) {
	key := testKey(t, "small")
	for _, format := range []encryptor.Format{encryptor.V1, encryptor.Legacy} {
		var out bytes.Buffer
		w, err := encryptor.NewWriter(&out, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Abort(errors.New("too late"))
		if err := w.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
		if _, err := w.Write([]byte{1}); err == nil {
			t.Error("wrote after close")
		}
		if got, err := open(out.Bytes(), key); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
	}
}

func TestRecipientsAreChecked(t *testing.T) {
	a, small := &testKey(t, "a").PublicKey, &testKey(t, "small").PublicKey
	tiny, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]*rsa.PublicKey, 33)
	for i := range many {
		many[i] = a
	}
	for name, c := range map[string]struct {
		to     []*rsa.PublicKey
		format encryptor.Format
	}{
		"none":             {},
		"nil":              {to: []*rsa.PublicKey{nil}},
		"two sizes":        {to: []*rsa.PublicKey{a, small}},
		"1024 bits":        {to: []*rsa.PublicKey{&tiny.PublicKey}},
		"33 of 4096 bits":  {to: many},
		"legacy for two":   {to: []*rsa.PublicKey{a, a}, format: encryptor.Legacy},
		"legacy for none":  {format: encryptor.Legacy},
		"no such a format": {to: []*rsa.PublicKey{a}, format: 7},
	} {
		if _, err := encryptor.NewWriter(io.Discard, c.to, encryptor.WriterOptions{Format: c.format}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := encryptor.NewWriter(io.Discard, many[:32], encryptor.WriterOptions{}); err != nil {
		t.Errorf("32 recipients, which fit: %v", err)
	}
}

// What sealing allocates does not grow with what is sealed.
func TestMemoryIsBounded(t *testing.T) {
	key := testKey(t, "small")
	allocated := func(bytes int) uint64 {
		w, err := encryptor.NewWriter(io.Discard, []*rsa.PublicKey{&key.PublicKey}, encryptor.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := w.ReadFrom(&repeated{plain: pattern(1000), left: bytes}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, mib := range []int{1, 16, 128} {
		got := allocated(mib << 20)
		t.Logf("%d MiB sealed: %.1f MiB allocated", mib, float64(got)/(1<<20))
		if got > 7<<20 {
			t.Errorf("%d MiB sealed: %d bytes allocated", mib, got)
		}
	}
}
