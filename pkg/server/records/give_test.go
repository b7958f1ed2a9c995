package records

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestAskedAgain repeats asking, as after an answer that was lost.
func TestAskedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		first := b.given("a", "r1")
		if again := b.given("a", "r1"); again.ID != first.ID {
			t.Errorf("the same request got %s and %s", first.ID, again.ID)
		}
		b.ok(b.part(first, 1))
		if again := b.given("a", "r1"); again.ID != first.ID {
			t.Errorf("after a part the same request got %s and %s", first.ID, again.ID)
		}
		b.notDue("a", "r2")
		b.notDue("b", "r1")
		b.notDue("a", "")
		b.done(first)
		b.passes(time.Hour)
		b.notDue("a", "r1") // it is late: its backup is over
		b.given("a", "r3")
	})
}

// TestOldAgentAskedAgain is the same for an agent that sends no request's id.
func TestOldAgentAskedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		first := b.given("a", "")
		if again := b.given("a", ""); again.ID != first.ID {
			t.Errorf("asked again it got %s and %s", first.ID, again.ID)
		}
		b.notDue("b", "")
		b.ok(b.part(first, 1))
		b.notDue("a", "")
	})
}

// TestLeases lets leases end: five minutes with heartbeats, two hours without.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		fresh := b.given("a", "r1")
		b.passes(4 * time.Minute)
		lease, err := b.Heartbeat(t.Context(), b.project.ID, fresh.ID, "a", &Progress{Stage: "dump", PlainBytes: 5}, b.now)
		b.ok(err)
		if lease != 5*time.Minute {
			t.Errorf("a lease of %v", lease)
		}
		b.passes(4 * time.Minute)
		b.notDue("b", "r2")
		b.passes(2 * time.Minute)
		// Nobody asked yet: whoever wakes goes on.
		b.ok(b.part(fresh, 1))
		b.passes(6 * time.Minute)
		old := b.given("b", "")
		b.state(fresh, StateLost)
		b.is(b.part(fresh, 2), ErrLost)
		_, err = b.Heartbeat(t.Context(), b.project.ID, fresh.ID, "a", nil, b.now)
		b.is(err, ErrLost)
		b.passes(119 * time.Minute)
		b.notDue("c", "r3")
		b.ok(b.part(old, 1))
		b.passes(119 * time.Minute)
		b.notDue("c", "r3")
		b.passes(2 * time.Minute)
		b.given("c", "r3")
	})
}

// TestDue follows the schedule: what was missed is made up for once.
func TestDue(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		first := b.given("a", "r1")
		if !first.Due.Equal(start) {
			t.Errorf("due at %v", first.Due)
		}
		b.passes(3 * time.Hour)
		b.ok(b.part(first, 1))
		b.done(first)
		b.nextDue(start.Add(30 * time.Minute)) // those missed meanwhile are one
		second := b.given("a", "r2")
		b.done(second)
		b.nextDue(start.Add(3*time.Hour + 30*time.Minute))
		b.notDue("a", "r3")
		b.passes(30 * time.Minute)
		third := b.given("a", "r3")
		b.ok(b.Fail(t.Context(), b.project.ID, third.ID, "a", "boom", b.now))
		b.state(third, StateFailed)
		b.nextDue(start.Add(3*time.Hour + 30*time.Minute))
		b.notDue("a", "r3") // said again by who has its answer
		b.done(b.given("b", "r4"))
		if all, err := b.Backups(t.Context(), b.project.ID, []string{StateDone}, 10); err != nil || len(all) != 3 || all[0].AgentID != "b" || all[0].Size != 7 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestOthers keeps projects apart.
func TestOthers(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		mine := b.given("a", "r1")
		other := b.newProject("other").ID
		ctx := t.Context()
		_, err := b.Backup(ctx, other, mine.ID)
		b.is(err, ErrNotFound)
		_, err = b.Heartbeat(ctx, other, mine.ID, "a", nil, b.now)
		b.is(err, ErrNotFound)
		_, err = b.AskPart(ctx, other, mine.ID, "a", "x", Part{Number: 1}, b.now)
		b.is(err, ErrNotFound)
		_, _, err = b.BeginDone(ctx, other, mine.ID, "a", "f", b.now)
		b.is(err, ErrNotFound)
		b.is(b.Fail(ctx, other, mine.ID, "a", "", b.now), ErrNotFound)
		b.is(b.PartStored(ctx, other, mine.ID, 1, Part{Number: 1}, b.now), ErrNotFound)
		b.is(b.MayStore(ctx, other, mine.ID), ErrNotFound)
		_, err = b.File(ctx, other, mine.ID, "x")
		b.is(err, ErrNotFound)
		_, _, err = b.Discard(ctx, other, mine.ID, "a", "x", b.now)
		b.is(err, ErrNotFound)
		_, _, err = b.Give(ctx, "nobody", Ask{}, b.now)
		b.is(err, ErrNotFound)
		if all, err := b.Objects(ctx, other, ""); err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
		_, err = b.CreateProject(ctx, Project{Name: "other"}, b.now)
		b.is(err, ErrTaken)
	})
}

// TestReplicas lets agents ask several services at once, through 50 due times: each
// is served once.
func TestReplicas(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		stores := []*Store{b.Store, open(t, b.dsn), open(t, b.dsn)}
		for round := range 50 {
			var all sync.WaitGroup
			given := make([]Backup, 16)
			for i := range given {
				all.Go(func() {
					got, _, err := stores[i%3].Give(t.Context(), b.project.ID, Ask{AgentID: fmt.Sprint(i), RequestID: fmt.Sprintf("%d-%d", round, i)}, b.now)
					if err != nil && !errors.Is(err, ErrNotDue) {
						t.Error(err)
					}
					if err == nil {
						given[i] = got
					}
				})
			}
			all.Wait()
			winners := 0
			for _, got := range given {
				if got.ID != "" {
					winners++
					b.done(got)
				}
			}
			if winners != 1 {
				t.Fatalf("round %d: given %d times", round, winners)
			}
			b.passes(time.Hour)
		}
		if all, err := b.Backups(t.Context(), b.project.ID, nil, 100); err != nil || len(all) != 50 {
			t.Errorf("%d backups, %v", len(all), err)
		}
	})
}
