package uploader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func local(t testing.TB, dir string) *localdir.Store {
	t.Helper()
	s, err := localdir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// upload stores a stream that fits into one object.
func upload(ctx context.Context, s storage.Store, name string, r io.Reader, o Options) (Result, error) {
	u, err := New(s, o)
	if err != nil {
		return Result{}, err
	}
	return u.Stream().Upload(ctx, name, r)
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// clean checks that nothing is listed, and that nothing unfinished was left.
func clean(t *testing.T, s *localdir.Store) {
	t.Helper()
	objects, err := s.List(context.Background(), "")
	if err != nil || len(objects) != 0 {
		t.Errorf("listed: %v, %v", objects, err)
	}
	left, err := s.RemoveUnfinished(context.Background(), "")
	if err != nil || len(left) != 0 {
		t.Errorf("left unfinished: %v, %v", left, err)
	}
}

func TestAroundTheParts(t *testing.T) {
	const part = 1000
	s := local(t, t.TempDir())
	for _, size := range []int{1, part - 1, part, part + 1, 4*part - 1, 4 * part, 4*part + 1, 20 * part} {
		for _, parallel := range []int{1, 2, 5} {
			data := random(size)
			name := fmt.Sprintf("db/%d-%d", size, parallel)
			var last int64
			o := Options{PartSize: part, Parallel: parallel, Progress: func(n int64) {
				if n <= last {
					t.Errorf("progress goes from %d to %d", last, n)
				}
				last = n
			}}
			got, err := upload(t.Context(), s, name, iotest.HalfReader(bytes.NewReader(data)), o)
			sum := sha256.Sum256(data)
			if want := (Result{Size: int64(size), SHA256: hex.EncodeToString(sum[:])}); err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
			}
			if last != int64(size) {
				t.Errorf("%s: progress ends at %d", name, last)
			}
			same(t, s, name, data)
		}
	}
}

func same(t *testing.T, s storage.Store, name string, want []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes (%v) that are not the %d sent", name, len(got), err, len(want))
	}
}

// TestBrokenSource lets the source fail at and around the parts' boundaries.
func TestBrokenSource(t *testing.T) {
	s := local(t, t.TempDir())
	for _, cause := range []error{errors.New("exit status 1"), io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		for _, size := range []int{0, 1, 999, 1000, 1001, 5000} {
			r := io.MultiReader(bytes.NewReader(random(size)), iotest.ErrReader(cause))
			if _, err := upload(t.Context(), s, "db/x", r, Options{PartSize: 1000}); !errors.Is(err, cause) {
				t.Errorf("%v after %d bytes: %v", cause, size, err)
			}
			clean(t, s)
		}
	}
}

func TestEmptySource(t *testing.T) {
	s := local(t, t.TempDir())
	if _, err := upload(t.Context(), s, "db/x", bytes.NewReader(nil), Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("error %v", err)
	}
	clean(t, s)
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestSourceThatGivesNothing(t *testing.T) {
	s := local(t, t.TempDir())
	if _, err := upload(t.Context(), s, "db/x", idle{}, Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
	clean(t, s)
}

// TestCancelled ends the context while the source waits: its writer is freed
// with the cause, and what was written is removed although ctx is gone.
func TestCancelled(t *testing.T) {
	s := local(t, t.TempDir())
	cause := errors.New("the operator said stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	writerErr := make(chan error)
	go func() {
		_, _ = w.Write(random(2500))
		cancel(cause)
		var err error
		for err == nil {
			_, err = w.Write(random(1000))
		}
		writerErr <- err
	}()
	if _, err := upload(ctx, s, "db/x", r, Options{PartSize: 1000}); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if err := <-writerErr; !errors.Is(err, cause) {
		t.Errorf("the source's writer sees %v", err)
	}
	clean(t, s)
}

func TestCancelledBefore(t *testing.T) {
	s := local(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	if _, err := upload(ctx, s, "db/x", r, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("the source's writer sees %v", err)
	}
	clean(t, s)
}

func TestTakenName(t *testing.T) {
	s := local(t, t.TempDir())
	if err := s.Put(t.Context(), "db/x", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := upload(t.Context(), s, "db/x", bytes.NewReader(random(10)), Options{}); !errors.Is(err, storage.ErrExists) {
		t.Errorf("error %v", err)
	}
	same(t, s, "db/x", []byte("first"))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestMemory shows that what an upload allocates does not depend on its size.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MiB are too much for a short run")
	}
	s := local(t, t.TempDir())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := upload(t.Context(), s, "db/x", io.LimitReader(zeros{}, 256<<20), Options{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) >> 10; got > 17<<10 {
		t.Errorf("%d KiB were allocated for an upload of 256 MiB", got)
	}
}
