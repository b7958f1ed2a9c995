package scheduler

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

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
