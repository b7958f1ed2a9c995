package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

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
