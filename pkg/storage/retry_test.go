package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

var errBusy = errors.New("busy")

// failing fails n times for a time, then returns err.
func failing(n int, after time.Duration, err error) (f func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error {
		if *calls++; *calls <= n {
			return &storage.TemporaryError{Err: errBusy, After: after}
		}
		return err
	}, calls
}

func TestRetryUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, calls := failing(7, 0, nil)
		began := time.Now()
		if err := (storage.Backoff{}).Retry(t.Context(), f); err != nil || *calls != 8 {
			t.Errorf("%d calls: %v", *calls, err)
		}
		if took := time.Since(began); took > 500*time.Millisecond*(1+2+4+8+16+32)+30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRetryGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, calls := failing(100, 0, nil)
		err := (storage.Backoff{Tries: 3}).Retry(t.Context(), f)
		var temporary *storage.TemporaryError
		if *calls != 3 || !errors.Is(err, errBusy) || !errors.As(err, &temporary) || !strings.Contains(err.Error(), "tried 3 times") {
			t.Errorf("%d calls: %v", *calls, err)
		}
	})
}

func TestRetryEndsAtAFinalError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, calls := failing(1, 0, storage.ErrExists)
		if err := (storage.Backoff{}).Retry(t.Context(), f); err != storage.ErrExists || *calls != 2 {
			t.Errorf("%d calls: %v", *calls, err)
		}
	})
}

func TestRetryWaitsAsAsked(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, time.Hour: 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := failing(1, asked, nil)
			began := time.Now()
			if err := (storage.Backoff{}).Retry(t.Context(), f); err != nil || time.Since(began) != want {
				t.Errorf("asked for %v, waited %v: %v", asked, time.Since(began), err)
			}
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		f, calls := failing(100, time.Minute, nil)
		time.AfterFunc(90*time.Second, func() { cancel(cause) })
		err := (storage.Backoff{}).Retry(ctx, f)
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "busy") || *calls != 2 {
			t.Errorf("%d calls: %v", *calls, err)
		}
		if err := (storage.Backoff{}).Retry(ctx, f); err != cause || *calls != 2 {
			t.Errorf("%d calls after the end: %v", *calls, err)
		}
	})
}

// TestRetryGrows draws each wait anew, from a range that doubles.
func TestRetryGrows(t *testing.T) {
	b := storage.Backoff{Tries: 9, First: time.Second, Longest: 8 * time.Second}
	limits := []time.Duration{1, 2, 4, 8, 8, 8, 8, 8}
	longest := make([]time.Duration, len(limits))
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			last, try := time.Now(), 0
			_ = b.Retry(t.Context(), func(context.Context) error {
				if try > 0 {
					longest[try-1] = max(longest[try-1], time.Since(last))
				}
				last, try = time.Now(), try+1
				return &storage.TemporaryError{Err: errBusy}
			})
		})
	}
	for i, limit := range limits {
		if limit *= time.Second; longest[i] > limit || longest[i] < limit/2 {
			t.Errorf("the longest wait %d of 200 was %v, want nearly %v", i+1, longest[i], limit)
		}
	}
}
