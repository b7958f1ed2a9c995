package pruner

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// seeds is how many orders are tried, DBACKED_TEST_MEETINGS if that is set.
func seeds(t *testing.T) uint64 {
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("DBACKED_TEST_MEETINGS"), "12"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
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

// testSweepMeetsDone lets a DONE and the sweepers of two replicas meet, in each of many
// orders: the backup is done, and all there, or over, and all gone.
func testSweepMeetsDone(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		won := map[int]int{}
		for seed := range seeds(t) {
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

// testSlowDone lets a replica that completes a lost backup stop in the middle, for longer
// than a sweeper waits: it is over then, and what the replica says after that is refused.
func testSlowDone(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
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

// testKilled lets a replica die between two files: another goes on when its claim is
// over, and what the first says then counts for nothing.
func testKilled(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
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

// testBothAtOnce deletes the two that are left at the same time: one is refused.
func testBothAtOnce(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		for range 4 {
			pair := []*made{b.backup(), b.backup()}
			var both sync.WaitGroup
			errs := make([]error, 2)
			for i, s := range b.stores {
				both.Go(func() {
					_, errs[i] = s.DeleteBackup(t.Context(), b.project.ID, pair[i].id, records.Deletion{Actor: "alice"}, b.now())
				})
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), records.ErrLast) {
				t.Fatalf("%v, %v", errs[0], errs[1])
			}
			for _, m := range pair { // nothing is left for the next round
				_, err := b.stores[0].DeleteBackup(t.Context(), b.project.ID, m.id, records.Deletion{Actor: "alice", Last: true}, b.now())
				b.ok(err)
			}
		}
	})
}

// testUndeleteMeetsSweep undeletes when the grace ends, as the sweepers come: the backup
// is there again, or it is too late, and all of it is gone.
func testUndeleteMeetsSweep(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		b.backup()
		won := map[bool]int{}
		for seed := range seeds(t) {
			r := rand.New(rand.NewPCG(seed, 2))
			m := b.backup()
			_, err := b.stores[0].DeleteBackup(t.Context(), b.project.ID, m.id, records.Deletion{Actor: "alice", Now: true}, b.now())
			b.ok(err)
			var both sync.WaitGroup
			before, after := time.Duration(r.IntN(4000))*time.Microsecond, time.Duration(r.IntN(4000))*time.Microsecond
			both.Go(func() {
				time.Sleep(before)
				_, err = b.stores[0].UndeleteBackup(t.Context(), b.project.ID, m.id, "alice", b.now())
			})
			both.Go(func() { time.Sleep(after); b.sweep() })
			both.Wait()
			won[err == nil]++
			switch {
			case err == nil:
				b.is(m, records.StateDone, "")
				b.sweep()
				if !b.there(m) {
					t.Errorf("seed %d: undeleted, and gone", seed)
				}
			case errors.Is(err, records.ErrRemoved):
				b.is(m, records.StateDone, records.PhaseRemoved)
				if b.there(m) {
					t.Errorf("seed %d: removed, and there", seed)
				}
			default:
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		t.Logf("undeleted or not: %v", won)
	})
}
