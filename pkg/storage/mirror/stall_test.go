package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// hangs does not return before its context ends, and not even then if deaf.
func hangs(deaf <-chan struct{}) func(ctx context.Context, n int32) error {
	return func(ctx context.Context, n int32) error {
		if n < 2 {
			return nil
		}
		if deaf != nil {
			<-deaf
			return errBroken
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

// slow is a part that takes its time, after an error that passes if trouble says
// so.
func slow(d time.Duration, trouble bool) func(ctx context.Context, n int32) error {
	return func(ctx context.Context, n int32) error {
		if trouble && n%2 == 1 {
			return &storage.TemporaryError{Err: errBroken}
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// TestStalls: how long one part may keep the others waiting, by the clock of a
// bubble: so these are exact.
func TestStalls(t *testing.T) {
	deaf := make(chan struct{})
	for name, c := range map[string]struct {
		part    func(ctx context.Context, n int32) error
		watches bool
		dropped error
		within  time.Duration
	}{
		"a folder hangs":                     {hangs(nil), false, ErrBehind, 33 * time.Second},
		"a folder hangs in the kernel":       {hangs(deaf), false, ErrBehind, 40 * time.Second},
		"a folder is slow":                   {slow(20*time.Second, false), false, nil, 100 * time.Second},
		"a bucket hangs, unseen by itself":   {hangs(nil), true, ErrStalled, 8 * time.Minute},
		"a bucket is slow":                   {slow(2*time.Minute, false), true, nil, 7 * time.Minute},
		"a bucket is slow after an error":    {slow(20*time.Second, true), true, nil, 100 * time.Second},
		"a bucket hangs after an error":      {slow(time.Hour, true), true, ErrBehind, 33 * time.Second},
		"a bucket gives errors all the time": {func(context.Context, int32) error { return &storage.TemporaryError{Err: errBroken} }, true, errBroken, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			good, bad := folder(t), folder(t)
			var pause time.Duration
			synctest.Test(t, func(t *testing.T) {
				if name == "a folder hangs in the kernel" {
					deaf = make(chan struct{}) // of this bubble
					c.part = hangs(deaf)
				}
				s := New([]Place{
					{Name: "good", Store: good},
					{Name: "bad", Store: &faulty{Store: bad, part: c.part}, Watches: c.watches},
				}, Options{Backoff: quick})
				w, err := s.Create(t.Context(), "db/x")
				if err != nil {
					t.Fatal(err)
				}
				for i := range 3 {
					began := time.Now()
					if err := w.WritePart(t.Context(), i+1, int64(i), []byte("x")); err != nil {
						t.Fatal(err)
					}
					pause = max(pause, time.Since(began))
				}
				if _, err := w.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				if name == "a folder hangs in the kernel" {
					close(deaf)
				}
				s.Settle(t.Context())
				if err := s.Places()[1].Err; !errors.Is(err, c.dropped) || (err == nil) != (c.dropped == nil) {
					t.Errorf("left out for: %v", err)
				}
			})
			t.Logf("longest pause: %s", pause)
			if pause > c.within {
				t.Errorf("a pause of %s, more than %s", pause, c.within)
			}
			if content(t, good, "db/x") != "xxx" {
				t.Error("the good place does not hold the object")
			}
			if c.dropped != nil {
				nothing(t, bad)
			}
		})
	}
}

// TestAlone: the last place keeps nobody waiting, so it has all the time of the
// stall limit.
func TestAlone(t *testing.T) {
	good, bad := folder(t), folder(t)
	synctest.Test(t, func(t *testing.T) {
		s := join(&faulty{Store: good, part: slow(2*time.Minute, false)}, &faulty{Store: bad, create: breaks})
		if err := upload(t.Context(), s, "db/x", "x"); err != nil {
			t.Error(err)
		}
	})
	if content(t, good, "db/x") != "x" {
		t.Error("it is not there")
	}
}

// TestCreateHangs: a dump may wait already while the first place hangs.
func TestCreateHangs(t *testing.T) {
	good, bad := folder(t), folder(t)
	synctest.Test(t, func(t *testing.T) {
		go_ := make(chan struct{})
		s := join(&faulty{Store: bad, create: func() error { <-go_; return nil }}, good)
		began := time.Now()
		if err := upload(t.Context(), s, "db/x", "x"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("it took %s", took)
		}
		close(go_) // what is begun late is taken back
		synctest.Wait()
		s.Settle(t.Context())
	})
	nothing(t, bad)
}

// TestManyParts: parts of several goroutines, while one place ends in the middle.
func TestManyParts(t *testing.T) {
	good, bad := folder(t), folder(t)
	s := join(&faulty{Store: bad, part: func(_ context.Context, n int32) error {
		if n > 20 {
			return errBroken
		}
		return nil
	}}, good)
	w, err := s.Create(t.Context(), "db/x")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	want := ""
	for i := range 50 {
		p := fmt.Sprintf("%04d", i)
		want += p
		all.Go(func() {
			if err := w.WritePart(t.Context(), i+1, int64(4*i), []byte(p)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if o, err := w.Commit(t.Context()); err != nil || o.Size != 200 {
		t.Fatal(o, err)
	}
	s.Settle(t.Context())
	if content(t, good, "db/x") != want {
		t.Error("the good place holds something else")
	}
	nothing(t, bad)
}
