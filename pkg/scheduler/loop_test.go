package scheduler

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStopped = errors.New("stopped by the test")

// bed is a loop in a bubble, whose clock begins at midnight of 1 January 2000,
// and a store that only knows when its newest backup began.
type bed struct {
	t  *testing.T
	mu sync.Mutex // held by the test, but while it lets time pass

	loop     *Loop
	requests chan struct{}

	newest  time.Time
	reads   int
	unread  error         // what reading the newest fails with
	fails   error         // what a backup fails with
	takes   time.Duration // how long a backup takes
	clock   time.Duration // by which the clock on the wall is ahead
	runs    []string      // when each began, and its reason
	started []time.Time
	plans   []Plan
	beats   []time.Time
}

func newBed(t *testing.T, expr string) *bed {
	b := &bed{t: t, requests: make(chan struct{}, 1), takes: time.Second}
	b.mu.Lock()
	b.loop = &Loop{
		Schedule: mustParse(t, expr, "UTC"), Seed: "shop", Requests: b.requests,
		Newest:  b.read,
		Backup:  b.backup,
		Planned: func(p Plan) { defer b.lock()(); b.plans = append(b.plans, p) },
		Beat:    func() { defer b.lock()(); b.beats = append(b.beats, time.Now()) },
		Now:     func() time.Time { defer b.lock()(); return b.now() },
	}
	return b
}

func (b *bed) now() time.Time { return time.Now().UTC().Add(b.clock) }

func (b *bed) read(context.Context) (time.Time, error) {
	defer b.lock()()
	b.reads++
	return b.newest, b.unread
}

func (b *bed) backup(_ context.Context, reason Reason) error {
	unlock := b.lock()
	began, takes := b.now(), b.takes
	b.started = append(b.started, began)
	b.runs = append(b.runs, began.Format("02 15:04:05 ")+string(reason))
	unlock()
	time.Sleep(takes)
	defer b.lock()()
	if b.fails == nil {
		b.newest = began
	}
	return b.fails
}

func (b *bed) lock() (unlock func()) {
	b.mu.Lock()
	return b.mu.Unlock
}

// start begins the loop; stop ends it and shows what it returns.
func (b *bed) start() (stop func()) {
	ctx, cancel := context.WithCancelCause(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.loop.Run(ctx) }()
	b.passes(0)
	return func() {
		b.t.Helper()
		b.mu.Unlock()
		defer b.mu.Lock()
		cancel(errStopped)
		if err := <-done; !errors.Is(err, errStopped) {
			b.t.Errorf("Run returned %v", err)
		}
	}
}

// passes lets time pass.
func (b *bed) passes(d time.Duration) {
	b.mu.Unlock()
	defer b.mu.Lock()
	time.Sleep(d)
	synctest.Wait()
}

func (b *bed) ran(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.runs); diff != "" {
		b.t.Errorf("runs: %s", diff)
	}
}

// planned compares the plans: "02 02:00:00 due: error".
func (b *bed) planned(want ...string) {
	b.t.Helper()
	var got []string
	for _, p := range b.plans {
		line := p.At.UTC().Format("02 15:04:05 ") + string(p.Reason)
		if p.Err != nil {
			line += ": " + p.Err.Error()
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("plans: %s", diff)
	}
}

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

func TestAClockThatIsPutForward(t *testing.T) {
	// That is what a machine that was suspended sees: its timers stood still.
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = b.now()
		stop := b.start()
		b.passes(90 * time.Second)
		b.clock = 26 * time.Hour
		b.passes(time.Minute)
		if len(b.runs) != 1 || b.started[0].Sub(time.Date(2000, 1, 2, 2, 1, 30, 0, time.UTC)) > time.Minute {
			t.Errorf("runs: %v", b.runs)
		}
		b.passes(24 * time.Hour)
		stop()
		b.ran("02 02:02:00 due", "03 02:00:00 due")
	})
}

func TestAClockThatIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = b.now()
		stop := b.start()
		b.passes(time.Hour + 59*time.Minute)
		b.clock = -time.Hour
		b.passes(30 * time.Minute)
		b.ran() // it is 01:29
		b.passes(40 * time.Minute)
		b.ran("01 02:00:00 due")

		b.clock = -5 * 24 * time.Hour // the newest backup is of the future now
		b.passes(time.Minute)
		if len(b.runs) != 2 || b.started[1].Day() != 27 {
			t.Errorf("runs: %v", b.runs)
		}
		b.passes(48 * time.Hour)
		stop()
		if len(b.runs) != 4 || b.started[2].Hour() != 2 || b.started[3].Hour() != 2 {
			t.Errorf("runs: %v", b.runs)
		}
	})
}

func TestAClockThatIsPutBackBeforeARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.fails = errors.New("no such host")
		stop := b.start()
		b.passes(35 * time.Minute) // tries at 0, 1, 3, 7, 15, 31 or so
		tries := len(b.runs)
		b.clock = -300 * 24 * time.Hour
		b.passes(40 * time.Minute)
		stop()
		if len(b.runs) != tries+1 {
			t.Errorf("runs: %v, of which %d before", b.runs, tries)
		}
	})
}

func TestABackupOfTheFutureProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		wrong := time.Date(2030, 1, 1, 2, 0, 0, 0, time.UTC)
		b.newest = wrong
		b.loop.Newest = func(context.Context) (time.Time, error) { return wrong, nil }
		stop := b.start()
		b.passes(48 * time.Hour)
		stop()
		b.ran("01 00:00:00 due", "01 02:00:00 due", "02 02:00:00 due")
	})
}

func TestAStoreThatIsSlowToListABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		old := b.now().AddDate(0, 0, -3)
		b.loop.Newest = func(context.Context) (time.Time, error) { return old, nil }
		stop := b.start()
		b.passes(3 * time.Hour)
		stop()
		b.ran("01 00:00:00 due", "01 02:00:00 due")
	})
}

func TestAnUnreadableStoreIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.unread = errors.New("store: connection refused")
		stop := b.start()
		b.passes(30 * time.Minute)
		b.ran()
		for i, p := range b.plans {
			wait := min(time.Minute<<i, time.Hour)
			after := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
			if i > 0 {
				after = b.plans[i-1].At
			}
			if waited := p.At.Sub(after); p.Err != b.unread || p.Reason != ReasonRetry || waited < wait*8/10 || waited > wait*12/10 {
				t.Errorf("plan %d: %+v, after %s", i, p, waited)
			}
		}
		if b.reads != len(b.plans) || b.reads < 5 {
			t.Errorf("read %d times, with %d plans", b.reads, len(b.plans))
		}
		b.unread = nil
		b.newest = b.now().AddDate(0, 0, -2)
		b.passes(time.Hour)
		stop()
		if len(b.runs) != 1 {
			t.Errorf("runs: %v", b.runs)
		}
		if last := b.plans[len(b.plans)-1]; last.Err != nil || last.At.Hour() != 2 {
			t.Errorf("the last plan: %+v", last)
		}
	})
}

func TestAnUnreadableStoreIsReadWhenOneIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "*/20 * * * *")
		b.unread = errors.New("store: connection refused")
		stop := b.start()
		b.passes(3 * time.Hour)
		stop()
		for minute := 20; minute <= 180; minute += 20 {
			due := time.Date(2000, 1, 1, 0, minute, 0, 0, time.UTC)
			if !slices.ContainsFunc(b.plans, func(p Plan) bool { return p.At.Equal(due) }) {
				t.Errorf("not read again at %s", due)
			}
		}
	})
}

func TestAnotherHostMadeTheBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = b.now()
		b.loop.RandomDelay = 2 * time.Hour
		due := time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC)
		delay := Delay("shop", due, 2*time.Hour)
		stop := b.start()
		b.passes(2*time.Hour + delay - time.Second)
		b.newest = due.Add(delay / 2)
		b.passes(time.Hour)
		stop()
		b.ran()
		if len(b.plans) != 2 || !b.plans[0].At.Equal(due.Add(delay)) || b.plans[1].At.Day() != 2 {
			t.Errorf("plans: %+v", b.plans)
		}
	})
}

func TestAnotherHostMadeTheBackupOfAFailedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "0 2 * * *")
		b.newest = b.now()
		b.fails = errors.New("another backup of this instance is running")
		stop := b.start()
		b.passes(2*time.Hour + 30*time.Second)
		b.newest = time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC)
		b.passes(time.Hour)
		stop()
		b.ran("01 02:00:00 due")
		if last := b.plans[len(b.plans)-1]; last.Err != nil || last.At.Day() != 2 {
			t.Errorf("the last plan: %+v", last)
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
