package uploader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// TestStreamsAtOnce stores random streams, more than may go on at once, of which
// each becomes as many objects as the store's limits ask for.
func TestStreamsAtOnce(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		o := Options{Streams: 1 + random.IntN(8), Parallel: 1 + random.IntN(4)}
		s := &limited{Store: local(t, t.TempDir()), limits: tight}
		var stored, last, total int64
		o.Progress = func(n int64) { stored, last = n, max(n, last) }
		u, err := New(s, o)
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		for i := range 1 + random.IntN(12) {
			data := make([]byte, 1+random.IntN(3*segment))
			rand.NewChaCha8([32]byte{byte(seed), byte(i)}).Read(data)
			total += int64(len(data))
			running.Go(func() {
				folder := fmt.Sprintf("db/%d", i)
				results, err := chainIn(t.Context(), u.Stream(), folder, bytes.NewReader(data))
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				checkChain(t, s, folder, results, data)
			})
		}
		running.Wait()
		if stored != total || last != total {
			t.Errorf("seed %d: progress is %d instead of %d", seed, stored, total)
		}
		if most := int(s.most.Load()); most > o.Parallel {
			t.Errorf("seed %d: %d parts at once instead of %d", seed, most, o.Parallel)
		}
		wholeAgain(t, u)
	}
}

// wholeAgain checks that no part was lost, or is there twice.
func wholeAgain(t *testing.T, u *Uploader) {
	t.Helper()
	if len(u.shared) != cap(u.shared) || len(u.seats) != cap(u.seats) || len(u.writing) != 0 {
		t.Errorf("%d of %d parts are free, %d of %d seats, %d are being written", len(u.shared), cap(u.shared), len(u.seats), cap(u.seats), len(u.writing))
	}
	for range cap(u.seats) {
		if seat := <-u.seats; len(seat) != 1 {
			t.Errorf("a seat has %d parts", len(seat))
		}
	}
}

// TestSlowSourcesHoldUpNoOther has sources that stop at every place of a part and
// of an object, while another stream goes on to its end, with the fewest parts.
func TestSlowSourcesHoldUpNoOther(t *testing.T) {
	for _, first := range []int{0, 1, grain, grain + 1, segment - 1, segment, segment + 1, 2*segment + 1} {
		s := &limited{Store: local(t, t.TempDir()), limits: tight}
		u, err := New(s, Options{Streams: 4, Parallel: 1})
		if err != nil {
			t.Fatal(err)
		}
		data := random(first + 10)
		writers := make([]*io.PipeWriter, 3)
		var running, begun sync.WaitGroup
		for i := range writers {
			r, w := io.Pipe()
			writers[i] = w
			begun.Go(func() { w.Write(data[:first]) })
			running.Go(func() {
				folder := fmt.Sprintf("slow/%d", i)
				results, err := chainIn(t.Context(), u.Stream(), folder, r)
				if err != nil {
					t.Error(err)
					return
				}
				checkChain(t, s, folder, results, data)
			})
		}
		begun.Wait() // and now nothing comes
		quick := random(5 * segment)
		results, err := chain(t.Context(), u, bytes.NewReader(quick))
		if err != nil {
			t.Fatal(err)
		}
		checkChain(t, s, "db", results, quick)
		for _, w := range writers {
			w.Write(data[first:])
			w.Close()
		}
		running.Wait()
		wholeAgain(t, u)
	}
}

// TestSharedRate sends three streams through one line.
func TestSharedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := local(t, t.TempDir()), time.Now()
		u, err := New(s, Options{Streams: 3, PartSize: 1000, Rate: 100, StallTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		took := make([]time.Duration, 3)
		var running sync.WaitGroup
		for i := range took {
			running.Go(func() {
				if _, err := u.Stream().Upload(t.Context(), fmt.Sprintf("db/%d", i), bytes.NewReader(random(10_000))); err != nil {
					t.Error(err)
				}
				took[i] = time.Since(start)
			})
		}
		running.Wait()
		for _, d := range took { // they take turns, so that all end towards the end
			if d < 200*time.Second || d > 290*time.Second {
				t.Errorf("3 × 10 000 bytes at 100 a second took %s", took)
			}
		}
	})
}

// TestAStreamFails lets one of three fail: the others go on with the object at
// hand, and nobody waits for ever.
func TestAStreamFails(t *testing.T) {
	cause := errors.New("403 Forbidden")
	s := &limited{limits: tight}
	s.Store = failing{local(t, t.TempDir()), "bad/", cause}
	u, err := New(s, Options{Streams: 2, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	data := random(segment + 10)
	going := make(chan error)
	go func() {
		_, err := chainIn(t.Context(), u.Stream(), "good", r)
		going <- err
	}()
	if _, err := w.Write(data[:grain]); err != nil {
		t.Fatal(err)
	}
	if _, err := chainIn(t.Context(), u.Stream(), "bad", bytes.NewReader(data)); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if _, err := chainIn(t.Context(), u.Stream(), "later", bytes.NewReader(data)); !errors.Is(err, cause) {
		t.Errorf("a later stream: %v", err)
	}
	if _, err := w.Write(data[grain:]); err != nil && !errors.Is(err, cause) {
		t.Error(err)
	}
	w.Close()
	if err := <-going; !errors.Is(err, cause) {
		t.Errorf("the other stream: %v", err)
	}
	same(t, s, "good/0000", data[:segment])
}

// failing is a store that takes no part of some objects.
type failing struct {
	storage.Store
	prefix string
	cause  error
}

func (f failing) Create(ctx context.Context, name string) (storage.Writer, error) {
	one := faulty{Store: f.Store}
	if bytes.HasPrefix([]byte(name), []byte(f.prefix)) {
		one.part = func(context.Context, int) error { return f.cause }
	}
	return one.Create(ctx, name)
}

// TestMoreStreamsThanSeats ends the wait for a turn with the context.
func TestMoreStreamsThanSeats(t *testing.T) {
	s := local(t, t.TempDir())
	u, err := New(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	going := make(chan error)
	go func() {
		_, err := u.Stream().Upload(t.Context(), "db/1", r)
		going <- err
	}()
	w.Write([]byte("x"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the operator said stop")
	second, freed := io.Pipe()
	cancel(cause)
	if _, err := u.Stream().Upload(ctx, "db/2", second); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if _, err := freed.Write([]byte("x")); !errors.Is(err, cause) {
		t.Errorf("the source's writer sees %v", err)
	}
	w.Close()
	if err := <-going; err != nil {
		t.Error(err)
	}
	if _, err := u.Stream().Upload(t.Context(), "db/2", bytes.NewReader([]byte("x"))); err != nil {
		t.Errorf("after one that did not begin: %v", err)
	}
}

// TestMemoryOfStreams shows that streams share one budget, however many there are.
func TestMemoryOfStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MiB are too much for a short run")
	}
	s := &limited{Store: local(t, t.TempDir()), limits: storage.Limits{MaxParts: 5, MinPart: 5 << 20}}
	u, err := New(s, Options{Streams: 4})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			if _, err := chainIn(t.Context(), u.Stream(), fmt.Sprint("db/", i), io.LimitReader(zeros{}, 32<<20)); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	runtime.ReadMemStats(&after)
	got := (after.TotalAlloc - before.TotalAlloc) >> 10
	t.Logf("%d KiB allocated", got)
	if got > 65<<10 {
		t.Errorf("%d KiB were allocated for 8 × 32 MiB", got)
	}
}
