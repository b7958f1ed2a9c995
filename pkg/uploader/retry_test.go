package uploader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

var errBusy = errors.New("503 Slow Down")

func busy(after time.Duration) error {
	return fmt.Errorf("part: %w", &storage.TemporaryError{Err: errBusy, After: after})
}

// trial is one upload of 5 parts, of which the second goes wrong as it says.
type trial struct {
	wrong   func(ctx context.Context, try int) error // from 1
	ctx     context.Context
	options Options

	tries int
	took  time.Duration
	err   error
	store *localdir.Store
	data  []byte
}

func (tr *trial) run(t *testing.T) {
	t.Helper()
	tr.store, tr.data = local(t, t.TempDir()), random(4500)
	if tr.ctx == nil {
		tr.ctx = t.Context()
	}
	tr.options.PartSize = 1000
	var mu sync.Mutex
	f := faulty{Store: tr.store, part: func(ctx context.Context, number int) error {
		if number != 2 {
			return nil
		}
		mu.Lock()
		tr.tries++
		try := tr.tries
		mu.Unlock()
		return tr.wrong(ctx, try)
	}}
	start := time.Now()
	_, tr.err = upload(tr.ctx, f, "db/x", bytes.NewReader(tr.data), tr.options)
	tr.took = time.Since(start)
	synctest.Wait()
}

func TestTemporaryErrorsThenSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trial{wrong: func(_ context.Context, try int) error {
			if try < 8 {
				return busy(0)
			}
			return nil
		}}
		tr.run(t)
		if tr.err != nil || tr.tries != 8 {
			t.Errorf("%d tries, %v", tr.tries, tr.err)
		}
		if most := 62 * time.Second; tr.took > most {
			t.Errorf("it took %s", tr.took)
		}
		same(t, tr.store, "db/x", tr.data)
	})
}

// TestEveryPartFailsOnce writes garbage first: what counts is the last try.
func TestEveryPartFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, data := local(t, t.TempDir()), random(64_123)
		torn := &tornStore{Store: s, seen: map[int]bool{}}
		if _, err := upload(t.Context(), torn, "db/x", bytes.NewReader(data), Options{PartSize: 1000, Parallel: 4}); err != nil {
			t.Fatal(err)
		}
		same(t, s, "db/x", data)
	})
}

// tornStore takes half of each part, and garbled, before it takes it all.
type tornStore struct {
	storage.Store
	mu   sync.Mutex
	seen map[int]bool
}

type tornWriter struct {
	storage.Writer
	*tornStore
}

func (s *tornStore) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	return tornWriter{w, s}, err
}

func (w tornWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	w.mu.Lock()
	again := w.seen[number]
	w.seen[number] = true
	w.mu.Unlock()
	if again {
		return w.Writer.WritePart(ctx, number, offset, p)
	}
	if err := w.Writer.WritePart(ctx, number, offset, make([]byte, len(p)/2)); err != nil {
		return err
	}
	return busy(time.Second)
}

func TestTriesUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trial{wrong: func(context.Context, int) error { return busy(0) }, options: Options{Backoff: storage.Backoff{Tries: 3}}}
		tr.run(t)
		if tr.tries != 3 || !errors.Is(tr.err, errBusy) || !strings.Contains(tr.err.Error(), "tried 3 times") {
			t.Errorf("%d tries, %v", tr.tries, tr.err)
		}
		clean(t, tr.store)
	})
}

func TestFinalErrorEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("403 Forbidden")
		tr := &trial{wrong: func(context.Context, int) error { return cause }}
		tr.run(t)
		if tr.tries != 1 || tr.took != 0 || !errors.Is(tr.err, cause) {
			t.Errorf("%d tries in %s, %v", tr.tries, tr.took, tr.err)
		}
		clean(t, tr.store)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trial{wrong: func(_ context.Context, try int) error {
			if try == 1 {
				return busy(2 * time.Minute)
			}
			return nil
		}}
		tr.run(t)
		if tr.err != nil || tr.tries != 2 || tr.took < 2*time.Minute {
			t.Errorf("%d tries in %s, %v", tr.tries, tr.took, tr.err)
		}
		same(t, tr.store, "db/x", tr.data)
	})
}

func TestContextEndsARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the operator said stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		tr := &trial{ctx: ctx, wrong: func(context.Context, int) error { return busy(4 * time.Minute) }}
		tr.run(t)
		if !errors.Is(tr.err, cause) || tr.took != time.Minute {
			t.Errorf("after %s: %v", tr.took, tr.err)
		}
		clean(t, tr.store)
	})
}

// TestRetriesNeverOutlastTheStallTimeout shows it for waits of all lengths, and
// for tries that hang until they are ended.
func TestRetriesNeverOutlastTheStallTimeout(t *testing.T) {
	for name, wrong := range map[string]func(context.Context, int) error{
		"back-off":    func(context.Context, int) error { return busy(0) },
		"Retry-After": func(context.Context, int) error { return busy(time.Hour) },
		"slow failures": func(context.Context, int) error {
			time.Sleep(7 * time.Second)
			return busy(0)
		},
		"a try that hangs": func(ctx context.Context, try int) error {
			if try == 3 {
				<-ctx.Done()
				return ctx.Err()
			}
			return busy(0)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := &trial{wrong: wrong, options: Options{StallTimeout: 90 * time.Second, Backoff: storage.Backoff{Tries: 1000}}}
			tr.run(t)
			if !errors.Is(tr.err, ErrStalled) || !strings.Contains(tr.err.Error(), "1m30s") {
				t.Errorf("%s: %v", name, tr.err)
			}
			if tr.took < 85*time.Second || tr.took > 97*time.Second { // a call in hand may end
				t.Errorf("%s: it took %s", name, tr.took)
			}
			clean(t, tr.store)
		})
	}
}

// TestRate sends parts at a rate, and waits for it without being stalled.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, data := local(t, t.TempDir()), random(20_000)
		start := time.Now()
		o := Options{PartSize: 1000, Rate: 100, StallTimeout: time.Second}
		if _, err := upload(t.Context(), s, "db/x", bytes.NewReader(data), o); err != nil {
			t.Fatal(err)
		}
		// The last part does not wait for itself.
		if got, want := time.Since(start), 190*time.Second; got != want {
			t.Errorf("20 000 bytes at 100 a second took %s instead of %s", got, want)
		}
		same(t, s, "db/x", data)
	})
}

// TestRateCountsRetries lets a part be sent three times.
func TestRateCountsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &trial{options: Options{Rate: 10, Parallel: 1}, wrong: func(_ context.Context, try int) error {
			if try < 3 {
				return busy(0)
			}
			return nil
		}}
		tr.run(t)
		if want := 600 * time.Second; tr.err != nil || tr.took != want {
			t.Errorf("it took %s instead of %s, %v", tr.took, want, tr.err)
		}
	})
}

func TestContextEndsAWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := local(t, t.TempDir())
		cause := errors.New("the operator said stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		start := time.Now()
		_, err := upload(ctx, s, "db/x", io.LimitReader(zeros{}, 1<<20), Options{PartSize: 1000, Rate: 1})
		if !errors.Is(err, cause) || time.Since(start) != time.Minute {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		clean(t, s)
	})
}

// TestRateIsNotSavedUp lets the line idle before it is used.
func TestRateIsNotSavedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(100)
		for _, idle := range []time.Duration{0, time.Hour} {
			time.Sleep(idle)
			start := time.Now()
			for range 4 {
				if err := p.wait(t.Context(), 50); err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(start); got != 1500*time.Millisecond {
				t.Errorf("after %s: %s", idle, got)
			}
		}
	})
}
