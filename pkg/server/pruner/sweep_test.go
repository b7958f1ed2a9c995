package pruner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// run runs all replicas until stop is called.
func (b *bed) run() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var all sync.WaitGroup
	for _, p := range b.pruners {
		all.Go(func() { p.Run(ctx) })
	}
	return func() { cancel(); all.Wait() }
}

// until waits for something that another goroutine brings about.
func (b *bed) until(is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal("it does not happen")
		}
	}
}

// refusesLate puts a part after its end, at an address that is still good.
func (b *bed) refusesLate(m *made) {
	b.t.Helper()
	if status := b.put(m); status != http.StatusConflict && status != http.StatusNotFound {
		b.t.Errorf("a part that comes after the end: %d", status)
	}
	if status := b.done(m); status != http.StatusConflict {
		b.t.Errorf("DONE after the end: %d", status)
	}
	if b.there(m) {
		b.t.Error("it is there again")
	}
}

// TestFailedAndLost are swept: the failed one after a quarter of an hour, the lost one
// after a day, until which it may still be done; an open one never.
func TestFailedAndLost(t *testing.T) {
	onEach(t, 2, func(t *testing.T, b *bed) {
		failed := b.begin()
		b.fail(failed)
		b.sweep()
		b.is(failed, records.StateFailed, "")
		b.passes(16 * time.Minute)
		b.sweep()
		b.is(failed, records.StateFailed, records.PhaseRemoved)
		b.refusesLate(failed)

		b.passes(time.Hour)
		never, late := b.lost(), b.lost()
		b.passes(23 * time.Hour)
		b.sweep()
		if status := b.done(late); status != http.StatusOK {
			t.Fatalf("a late DONE: %d", status)
		}
		b.passes(2 * time.Hour)
		open := b.begin()
		b.sweep()
		b.is(never, records.StateLost, records.PhaseRemoved)
		b.refusesLate(never)
		b.seen(late)
		b.passes(1000 * time.Hour)
		b.sweep()
		if status := b.done(open); status != http.StatusOK {
			t.Errorf("nobody else asked: %d", status)
		}
		b.seen(open, late)
		if n, err := b.stores[0].CountStored(t.Context(), b.project.ID); err != nil || n < 2 {
			t.Errorf("%d have files: %v", n, err)
		}
	})
}

// TestAwayForLong: a service that was away gives agents a day to say that they are done.
func TestAwayForLong(t *testing.T) {
	onOne(t, func(t *testing.T, b *bed) {
		turn, ok, err := b.stores[0].TakePruning(t.Context(), time.Minute, b.now())
		if err != nil || !ok || turn.Since.IsZero() {
			t.Fatal(turn, ok, err)
		}
		m := b.lost()
		b.passes(100 * time.Hour)
		turn, _, err = b.stores[0].TakePruning(t.Context(), time.Minute, b.now())
		b.ok(err)
		b.pruners[0].sweep(t.Context(), turn)
		b.is(m, records.StateLost, "")
		b.passes(25 * time.Hour)
		b.pruners[0].sweep(t.Context(), turn)
		b.is(m, records.StateLost, records.PhaseRemoved)
	})
}

// TestSweepMeetsDone lets a DONE and the sweepers of two replicas meet, in each of many
// orders: the backup is done, and all there, or over, and all gone.
func TestSweepMeetsDone(t *testing.T) {
	onEach(t, 2, func(t *testing.T, b *bed) {
		won := map[int]int{}
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := b.lost()
			b.passes(25 * time.Hour)
			var both sync.WaitGroup
			var status int
			before, after := time.Duration(r.IntN(8))*time.Millisecond, time.Duration(r.IntN(8))*time.Millisecond
			both.Go(func() { time.Sleep(before); status = b.done(m) })
			both.Go(func() { time.Sleep(after); b.sweep() })
			both.Wait()
			won[status]++
			switch status {
			case http.StatusOK:
				b.is(m, records.StateDone, "")
				b.sweep()
				if !b.there(m) {
					t.Errorf("seed %d: done, and gone", seed)
				}
			case http.StatusConflict:
				b.is(m, records.StateLost, records.PhaseRemoved)
				b.refusesLate(m)
			default:
				t.Errorf("seed %d: DONE is answered %d", seed, status)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		t.Logf("outcomes of DONE: %v", won)
	})
}

// TestSlowDone lets a replica that completes a lost backup stop in the middle, for longer
// than a sweeper waits: it is over then, and what the replica says after that is refused.
func TestSlowDone(t *testing.T) {
	onEach(t, 2, func(t *testing.T, b *bed) {
		m := b.lost()
		verdict, begun, err := b.stores[1].BeginDone(t.Context(), b.project.ID, m.id, "a", "all", b.now())
		if err != nil || verdict != records.DoneNow {
			t.Fatal(verdict, err)
		}
		b.passes(25 * time.Hour)
		b.sweep() // its lease was renewed
		b.is(m, records.StateCompleting, "")
		b.passes(2 * time.Hour)
		b.sweep()
		b.is(m, records.StateLost, records.PhaseRemoved)
		if err := b.stores[1].EndDone(t.Context(), begun, b.now()); !errors.Is(err, records.ErrLost) {
			t.Errorf("the end of it: %v", err)
		}
		b.is(m, records.StateLost, records.PhaseRemoved)
		b.refusesLate(m)
	})
}

// breaks is a store that fails as it is told.
type breaks struct {
	Remover
	err func(r files.Ref) error
	n   int // calls
}

func (s *breaks) Remove(ctx context.Context, r files.Ref, upload string) error {
	s.n++
	if err := s.err(r); err != nil {
		return err
	}
	return s.Remover.Remove(ctx, r, upload)
}

// several is a backup of three files that failed.
func (b *bed) several() *made {
	b.t.Helper()
	m := b.begin()
	for i := range 2 {
		f, err := b.stores[0].AskPart(b.t.Context(), b.project.ID, m.id, "a", fmt.Sprint("file-", i), records.Part{Number: 1, MD5: m.md5()}, b.now())
		b.ok(err)
		_, err = b.files.Put(b.t.Context(), files.Ref{Project: b.project.ID, Backup: m.id, Number: f.Number}, m.content)
		b.ok(err)
	}
	b.fail(m)
	b.passes(time.Hour)
	return m
}

func (b *bed) left(m *made) (n int) {
	b.t.Helper()
	for number := range 4 {
		if _, err := b.files.Read(context.WithoutCancel(b.t.Context()), files.Ref{Project: b.project.ID, Backup: m.id, Number: number}, 1<<20); err == nil {
			n++
		}
	}
	return n
}

// TestStoreFails: what cannot be removed is said once, shown, and tried at each turn.
func TestStoreFails(t *testing.T) {
	onEach(t, 1, func(t *testing.T, b *bed) {
		m := b.several()
		broken := &breaks{Remover: b.files, err: func(files.Ref) error { return errors.New("the disk is read-only") }}
		b.pruners[0].files = broken
		for range 3 {
			b.sweep()
			b.passes(5 * time.Minute)
		}
		got, err := b.stores[0].Backup(t.Context(), b.project.ID, m.id)
		b.ok(err)
		if got.Removal.Phase != records.PhaseRemoving || !strings.Contains(got.Removal.Error, "read-only") || b.left(m) != 2 {
			t.Errorf("%+v, %d files", got.Removal, b.left(m))
		}
		if n := b.log.FilterMessageSnippet("could not be removed").Len(); n != 1 || broken.n != 3 {
			t.Errorf("said %d times of %d", n, broken.n)
		}
		broken.err = func(files.Ref) error { return nil }
		b.sweep()
		got, err = b.stores[0].Backup(t.Context(), b.project.ID, m.id)
		b.ok(err)
		if got.Removal.Phase != records.PhaseRemoved || got.Removal.Error != "" || b.left(m) != 0 {
			t.Errorf("%+v, %d files", got.Removal, b.left(m))
		}
		b.passes(25 * time.Hour)
		b.sweep() // once more
		b.passes(100 * time.Hour)
		broken.n = 0
		b.sweep()
		if n, err := b.stores[0].CountStored(t.Context(), b.project.ID); err != nil || n != 0 || broken.n != 0 {
			t.Errorf("%d may have files: %v; %d were removed again", n, err, broken.n)
		}
	})
}

// TestLockedHoldUpNone: however many cannot be removed, the others are.
func TestLockedHoldUpNone(t *testing.T) {
	onOne(t, func(t *testing.T, b *bed) {
		locked := map[string]bool{}
		for range mostFailures + 2 {
			m := b.begin()
			b.fail(m)
			locked[m.id] = true
		}
		b.passes(time.Hour)
		b.pruners[0].files = &breaks{Remover: b.files, err: func(r files.Ref) error {
			if locked[r.Backup] {
				return errors.New("it is locked")
			}
			return nil
		}}
		for range 3 {
			b.sweep()
			b.passes(5 * time.Minute)
		}
		m := b.begin()
		b.fail(m)
		b.passes(time.Hour)
		b.sweep()
		b.is(m, records.StateFailed, records.PhaseRemoved)
		if n := b.log.FilterMessageSnippet("could not be removed").Len(); n != len(locked) {
			t.Errorf("said %d times of %d", n, len(locked))
		}
	})
}

// TestKilled lets a replica die between two files: another goes on when its claim is
// over, and what the first says then counts for nothing.
func TestKilled(t *testing.T) {
	onEach(t, 2, func(t *testing.T, b *bed) {
		m := b.several()
		all, err := b.stores[0].ToSweep(t.Context(), b.now(), 10)
		b.ok(err)
		claimed, ok, err := b.stores[0].ClaimSweep(t.Context(), all[0], b.now().Add(claimLimit), time.Time{}, b.now())
		if err != nil || !ok || claimed.ID != m.id {
			t.Fatal(claimed, ok, err)
		}
		// Another that saw it at the same time does not get it.
		if _, ok, err := b.stores[1].ClaimSweep(t.Context(), all[0], b.now().Add(claimLimit), time.Time{}, b.now()); err != nil || ok {
			t.Fatalf("claimed twice: %v, %v", ok, err)
		}
		b.ok(b.files.Remove(t.Context(), files.Ref{Project: b.project.ID, Backup: m.id, Number: 3}, ""))
		b.sweep()
		if n := b.left(m); n != 1 {
			t.Errorf("%d files: another went on with what is claimed", n)
		}
		b.passes(claimLimit + time.Second)
		b.sweep()
		b.is(m, records.StateFailed, records.PhaseRemoved)
		b.refusesLate(m)
		if n := b.left(m); n != 0 {
			t.Errorf("%d files are left", n)
		}
		if err := b.stores[0].Swept(t.Context(), claimed, b.now()); !errors.Is(err, records.ErrTurn) {
			t.Errorf("a replica that was overtaken: %v", err)
		}
		if err := b.stores[0].PutOffSweep(t.Context(), claimed, "boom", b.now()); !errors.Is(err, records.ErrTurn) {
			t.Errorf("a replica that was overtaken: %v", err)
		}
	})
}
