package pruner

import (
	"net/http"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// testFailedAndLost are swept: the failed one after a quarter of an hour, the lost one
// after a day, until which it may still be done; an open one never.
func testFailedAndLost(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
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
