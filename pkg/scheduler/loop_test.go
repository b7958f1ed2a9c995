package scheduler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithoutABackupOneIsDueNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		stop := b.start()
		b.passes(50*time.Hour + time.Minute)
		stop()
		b.ran("01 00:00:00 due", "01 02:00:00 due", "02 02:00:00 due", "03 02:00:00 due")
		b.planned("01 00:00:00 due", "01 02:00:00 due", "02 02:00:00 due", "03 02:00:00 due", "04 02:00:00 due")
	})
}

func TestAMissedNightIsCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = time.Date(1999, 12, 29, 2, 0, 0, 0, time.UTC)
		stop := b.start()
		b.passes(time.Hour)
		stop()
		b.ran("01 00:00:00 due")
		b.planned("30 02:00:00 due", "01 02:00:00 due")
	})
}

func TestNothingIsDueAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = time.Date(1999, 12, 31, 2, 0, 3, 0, time.UTC)
		for range 5 {
			stop := b.start()
			b.passes(20 * time.Minute)
			stop()
		}
		b.ran()
	})
}

func TestTheLoopSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "30 2 * * *")
		b.newest = b.now()
		stop := b.start()
		b.passes(151 * time.Minute)
		stop()
		b.ran("01 02:30:00 due")
		if b.reads != 3 {
			t.Errorf("the newest backup was read %d times", b.reads)
		}
		if n := len(b.beats); n < 150 || n > 160 {
			t.Errorf("the loop turned %d times in 151 minutes", n)
		}
		for i, beat := range b.beats[1:] {
			if late := beat.Sub(b.beats[i]); late > time.Minute {
				t.Errorf("no beat for %s", late)
			}
		}
	})
}

func TestFailuresAreRetriedLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 0 1 * *")
		b.fails = errors.New("no such host")
		b.takes = 0
		stop := b.start()
		b.passes(24 * time.Hour)
		b.fails = nil
		b.passes(time.Hour)
		stop()
		wait := time.Minute
		for i, began := range b.started[1:] {
			least, most := wait*8/10, min(wait*12/10, time.Hour)
			if waited := began.Sub(b.started[i]); waited < least || waited > most {
				t.Errorf("try %d came after %s; wanted %s to %s", i+2, waited, least, most)
			}
			wait = min(2*wait, time.Hour)
		}
		if n := len(b.started); n < 6+23 || n > 6+31 {
			t.Errorf("%d tries in 25 hours", n)
		}
		for i, p := range b.plans[1 : len(b.plans)-1] {
			if p.Reason != ReasonRetry || p.Err == nil || p.Err.Error() != "no such host" || !p.At.Equal(b.started[i+1]) {
				t.Errorf("plan %d: %+v; it ran at %s", i+1, p, b.started[i+1])
			}
		}
		if last := b.plans[len(b.plans)-1]; last.Err != nil || last.Reason != ReasonDue || last.At.Month() != time.February {
			t.Errorf("after it went well: %+v", last)
		}
		b.runs = b.runs[len(b.runs)-1:]
		if !strings.HasSuffix(b.runs[0], " retry") {
			t.Errorf("the last run was %s", b.runs[0])
		}
	})
}

func TestARetryIsNoLaterThanTheNextDueTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "*/10 * * * *")
		b.fails = errors.New("no such host")
		stop := b.start()
		b.passes(5 * time.Hour)
		stop()
		var tried []time.Time
		for _, began := range b.started {
			if began.Second() == 0 && began.Minute()%10 == 0 {
				tried = append(tried, began)
			}
		}
		if len(tried) != 31 {
			t.Errorf("it ran at %d of 31 due times", len(tried))
		}
		for i, began := range b.started[1:] {
			if gap := began.Sub(b.started[i]); gap < 45*time.Second && began.Minute()%10 != 0 {
				t.Errorf("tried again after %s", gap)
			}
		}
	})
}

func TestAStoreThatIsSlowToListABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		old := b.now().AddDate(0, 0, -3)
		b.loop.Newest = func(context.Context) (time.Time, error) { return old, nil }
		b.fails = errors.New("no such host")
		stop := b.start()
		b.passes(30 * time.Second)
		b.fails = nil
		b.passes(3 * time.Hour)
		stop()
		if len(b.runs) != 3 || !strings.HasSuffix(b.runs[1], " retry") || b.runs[2] != "01 02:00:00 due" {
			t.Errorf("runs: %v", b.runs)
		}
	})
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = b.now()
		stop := b.start()
		b.passes(10*time.Minute + 7*time.Second)
		b.requests <- struct{}{}
		b.passes(time.Minute)
		b.ran("01 00:10:07 requested")

		b.fails = errors.New("no such host")
		b.requests <- struct{}{}
		b.passes(30 * time.Second)
		b.fails = nil
		b.passes(5 * time.Minute) // a requested backup that failed is retried too
		if len(b.runs) != 3 || !strings.HasSuffix(b.runs[2], " retry") {
			t.Errorf("runs: %v", b.runs)
		}
		b.passes(2 * time.Hour)
		stop()
		if len(b.runs) != 4 || b.runs[3] != "01 02:00:00 due" {
			t.Errorf("runs: %v", b.runs)
		}
	})
}

func TestARequestIsServedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.unread = errors.New("store: connection refused")
		b.fails = b.unread
		stop := b.start()
		b.requests <- struct{}{}
		b.passes(10 * time.Second)
		b.ran("01 00:00:00 requested")
		b.unread, b.fails = nil, nil
		b.newest = b.now().Add(-time.Hour) // there before the run, so that it does not stand for it
		b.passes(10 * time.Minute)
		stop()
		if len(b.runs) != 2 || !strings.HasSuffix(b.runs[1], " retry") {
			t.Errorf("runs: %v", b.runs)
		}
	})
}

func TestARunAnswersTheRequestsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.requests <- struct{}{} // before the loop begins, with a run that is due
		stop := b.start()
		b.passes(time.Hour)
		close(b.requests) // nobody will ask any more
		b.passes(61 * time.Minute)
		stop()
		b.ran("01 00:00:00 due", "01 02:00:00 due")
		if n := len(b.beats); n > 150 {
			t.Errorf("the loop turned %d times in two hours", n)
		}
	})
}

func TestTheEndOfALoop(t *testing.T) {
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errStopped)
		if err := newBed(t, "@daily").loop.Run(ctx); !errors.Is(err, errStopped) {
			t.Error(err)
		}
	})
	t.Run("in a backup, which is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, "* * * * *")
			b.takes = 5 * time.Minute
			stop := b.start()
			b.requests <- struct{}{}
			stop()
			b.ran("01 00:00:00 due")
			if b.newest.IsZero() {
				t.Error("Run did not wait for the backup")
			}
		})
	})
	t.Run("when a request comes", func(t *testing.T) {
		for range 50 { // which of the two is seen first is left to chance
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, "@daily")
				b.newest = b.now()
				b.mu.Unlock()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				beats := 0
				b.loop.Beat = func() {
					if beats++; beats == 2 { // just before it sleeps
						cancel(errStopped)
						b.requests <- struct{}{}
					}
				}
				if err := b.loop.Run(ctx); !errors.Is(err, errStopped) {
					t.Error(err)
				}
				b.ran()
			})
		}
	})
	t.Run("while the store is read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, "* * * * *")
			b.loop.Newest = func(ctx context.Context) (time.Time, error) {
				<-ctx.Done()
				return time.Time{}, ctx.Err()
			}
			b.start()()
			b.ran()
			b.planned()
		})
	})
}

func TestRandomDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "*/10 * * * *")
		b.newest = b.now()
		b.loop.RandomDelay = time.Hour // longer than there is room for
		for range 10 {
			stop := b.start()
			b.passes(27 * time.Minute)
			stop()
		}
		if n := len(b.runs); n < 25 || n > 28 {
			t.Errorf("%d runs in 27 times 10 minutes: %v", n, b.runs)
		}
		slots := map[time.Time]int{}
		for _, began := range b.started {
			slots[began.Truncate(10*time.Minute)]++
		}
		for slot, n := range slots {
			if n != 1 {
				t.Errorf("%d runs for the due time %s", n, slot)
			}
		}
	})
}

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		ctx, cancel := context.WithTimeout(t.Context(), 130*time.Second)
		defer cancel()
		loop := Loop{
			Schedule: mustParse(t, "* * * * *", "UTC"),
			Newest:   func(context.Context) (time.Time, error) { return time.Time{}, nil },
			Backup:   func(context.Context, Reason) error { ran++; return nil },
		}
		if err := loop.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || ran != 3 {
			t.Errorf("%d runs, %v", ran, err)
		}
	})
}
