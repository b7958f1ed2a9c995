package records

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestDoneAgain says DONE again, and otherwise.
func TestDoneAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		given := b.given("a", "r1")
		_, _, err := b.BeginDone(t.Context(), given.ProjectID, given.ID, "somebody", "all", b.now)
		b.is(err, ErrLost)
		b.done(given)
		if v, _, err := b.begin(given, "all"); err != nil || v != DoneBefore {
			t.Errorf("said again: %v, %v", v, err)
		}
		_, _, err = b.begin(given, "else")
		b.is(err, ErrConflict)
		b.ok(b.Fail(t.Context(), given.ProjectID, given.ID, "a", "too late", b.now))
		b.state(given, StateDone)
		b.is(b.part(given, 9), ErrLost)

		b.passes(time.Hour)
		failed := b.given("a", "r2")
		b.ok(b.Fail(t.Context(), failed.ProjectID, failed.ID, "a", "boom", b.now))
		b.ok(b.Fail(t.Context(), failed.ProjectID, failed.ID, "a", "boom", b.now))
		_, _, err = b.begin(failed, "all")
		b.is(err, ErrLost)
	})
}

// TestDoneWhileCompleting meets a DONE with another, and with a replica that died.
func TestDoneWhileCompleting(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		given := b.given("a", "r1")
		v, first, err := b.begin(given, "all")
		if err != nil || v != DoneNow {
			t.Fatal(v, err)
		}
		if v, _, err := b.begin(given, "all"); err != nil || v != DoneWait {
			t.Errorf("meanwhile: %v, %v", v, err)
		}
		_, _, err = b.begin(given, "else")
		b.is(err, ErrConflict)
		b.notDue("b", "r2")
		b.is(b.part(given, 1), ErrLost)
		b.passes(3*time.Minute + time.Second)
		v, second, err := b.begin(given, "all")
		if err != nil || v != DoneNow {
			t.Errorf("after the death of a replica: %v, %v", v, err)
		}
		b.ok(b.EndDone(t.Context(), second, b.now))
		b.ok(b.EndDone(t.Context(), first, b.now)) // it was only slow
		b.state(given, StateDone)
	})
}

// TestSlowReplicas lets one that completes be overtaken: by another of its kind, and
// by an agent that asks.
func TestSlowReplicas(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		given := b.given("a", "r1")
		_, first, err := b.begin(given, "all")
		b.ok(err)
		b.passes(3*time.Minute + time.Second)
		_, second, err := b.begin(given, "all")
		b.ok(err)
		b.ok(b.GiveUpDone(t.Context(), first)) // which would undo what the second does
		b.state(given, StateCompleting)
		b.passes(6 * time.Minute)
		other := b.given("b", "r2")
		b.state(given, StateLost)
		b.ok(b.EndDone(t.Context(), second, b.now)) // all of it is there
		b.state(given, StateDone)
		b.notDue("c", "r3")
		b.done(other)
	})
}

// TestSetDue changes a schedule while a backup is being made.
func TestSetDue(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		_, err := b.SetDue(t.Context(), b.project.ID, start.Add(5*time.Hour), b.now)
		b.ok(err)
		b.nextDue(start) // what is due stays due
		old := b.project
		b.done(b.given("a", "r1"))
		b.ok(b.UpdateProject(t.Context(), old)) // read before
		b.nextDue(start.Add(30 * time.Minute))
		_, err = b.SetDue(t.Context(), b.project.ID, start.Add(5*time.Hour), b.now)
		b.ok(err)
		b.nextDue(start.Add(5 * time.Hour))
	})
}

// TestGivenUp lets parts be missing.
func TestGivenUp(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		given := b.given("a", "")
		_, begun, err := b.begin(given, "half")
		b.ok(err)
		b.ok(b.GiveUpDone(t.Context(), begun))
		b.state(given, StateOpen)
		b.ok(b.part(given, 2))
		b.passes(3 * time.Hour)
		second := b.given("b", "r2")
		// The first comes late, twice: parts are missing, then all are there.
		_, begun, err = b.begin(given, "half")
		b.ok(err)
		b.ok(b.GiveUpDone(t.Context(), begun))
		b.state(given, StateLost)
		b.done(given)
		b.notDue("c", "r3") // the second is at it
		b.done(second)
	})
}

// TestDoneRaces lets one DONE race with itself on three replicas.
func TestDoneRaces(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		stores := []*Store{b.Store, open(t, b.dsn), open(t, b.dsn)}
		given := b.given("a", "r1")
		var all sync.WaitGroup
		verdicts := make([]string, 12)
		for i := range verdicts {
			all.Go(func() {
				v, _, err := stores[i%3].BeginDone(t.Context(), given.ProjectID, given.ID, "a", "all", b.now)
				verdicts[i] = fmt.Sprint(v, err)
			})
		}
		all.Wait()
		count := map[string]int{}
		for _, v := range verdicts {
			count[v]++
		}
		if count[fmt.Sprint(DoneNow, nil)] != 1 || count[fmt.Sprint(DoneWait, nil)] != 11 {
			t.Errorf("%v", count)
		}
	})
}
