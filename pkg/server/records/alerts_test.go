package records

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

const every = 30 * time.Second

func (b *bed) turn() Turn {
	b.t.Helper()
	b.passes(every)
	turn, ok, err := b.TakeTurn(b.t.Context(), every, b.now)
	b.ok(err)
	if !ok {
		b.t.Fatal("no turn was to be had")
	}
	return turn
}

func (b *bed) opens(turn Turn, kind string) bool {
	b.t.Helper()
	opened, err := b.OpenAlert(b.t.Context(), turn, Alert{ProjectID: b.project.ID, Kind: kind, Text: "text"}, b.now)
	b.ok(err)
	return opened
}

// claims counts the deliveries that are to be made now, and makes them.
func (b *bed) claims() (all []Delivery) {
	b.t.Helper()
	for {
		d, err := b.Claim(b.t.Context(), b.now.Add(time.Minute), b.now)
		if err == ErrNotFound {
			return all
		}
		b.ok(err)
		b.ok(b.Delivered(b.t.Context(), d, b.now))
		all = append(all, d)
	}
}

// TestTurns has one replica look at a time, and what a slow one found not count.
func TestTurns(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		slow := b.turn()
		if _, ok, err := b.TakeTurn(t.Context(), every, b.now.Add(every/3)); ok || err != nil {
			t.Errorf("a turn within the turn: %v", err)
		}
		if !b.opens(slow, "failed") || b.opens(slow, "failed") {
			t.Error("opened not once")
		}
		open, err := b.OpenAlerts(t.Context())
		b.ok(err)
		b.turn()
		_, err = b.OpenAlert(t.Context(), slow, Alert{ProjectID: b.project.ID, Kind: "late"}, b.now)
		b.is(err, ErrTurn)
		_, err = b.CloseAlert(t.Context(), slow, open[0].ID, b.now)
		b.is(err, ErrTurn)
		if open, err = b.OpenAlerts(t.Context()); err != nil || len(open) != 1 {
			t.Errorf("%v, %v", open, err)
		}
		if turn := b.turn(); !turn.Since.IsZero() {
			t.Errorf("a pause before %v", turn.Since)
		}
		b.passes(time.Hour)
		if turn := b.turn(); !turn.Since.Equal(b.now) {
			t.Errorf("after a pause: %v", turn.Since)
		}
	})
}

// TestTurnOnce has replicas ask for a turn at the same time.
func TestTurnOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		stores := []*Store{b.Store, open(t, b.dsn), open(t, b.dsn)}
		for range 20 {
			b.passes(every)
			var all sync.WaitGroup
			taken := make([]bool, 9)
			for i := range taken {
				all.Go(func() {
					_, ok, err := stores[i%3].TakeTurn(t.Context(), every, b.now)
					if err != nil {
						t.Error(err)
					}
					taken[i] = ok
				})
			}
			all.Wait()
			n := 0
			for _, ok := range taken {
				if ok {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("taken %d times", n)
			}
		}
	})
}

// TestTold tells targets of their projects, of the beginning before the end.
func TestTold(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		other := b.newProject("other")
		var targets []Target
		for _, project := range []string{"", b.project.ID, other.ID} {
			made, err := b.AddTarget(t.Context(), Target{ProjectID: project, Kind: "webhook", Config: "{}"}, b.now)
			b.ok(err)
			targets = append(targets, made)
		}
		b.opens(b.turn(), "failed")
		later, err := b.AddTarget(t.Context(), Target{Kind: "webhook", Config: "{}"}, b.now)
		b.ok(err)
		first, err := b.Claim(t.Context(), b.now.Add(time.Minute), b.now)
		b.ok(err)
		open, err := b.OpenAlerts(t.Context())
		b.ok(err)
		if closed, err := b.CloseAlert(t.Context(), b.turn(), open[0].ID, b.now); !closed || err != nil {
			t.Errorf("closed: %v, %v", closed, err)
		}
		if got := b.claims(); len(got) != 2 || got[0].Event != EventOpened || got[1].Event != EventRecovered || got[0].Target.ID != got[1].Target.ID || got[0].Target.ID == first.Target.ID {
			t.Errorf("while one is claimed: %+v", got)
		}
		// Its replica died. Another takes it over, and the first one's word is late.
		b.passes(time.Minute)
		again, err := b.Claim(t.Context(), b.now.Add(time.Minute), b.now)
		b.ok(err)
		if again.Target.ID != first.Target.ID || again.Event != EventOpened || again.Tries != 2 {
			t.Errorf("%+v", again)
		}
		b.ok(b.PutOff(t.Context(), first, "late word", b.now, b.now))
		if got := b.claims(); len(got) != 0 {
			t.Errorf("a late word freed %+v", got)
		}
		b.ok(b.PutOff(t.Context(), again, "no answer", b.now.Add(time.Minute), b.now.Add(time.Minute)))
		b.opens(b.turn(), "late")
		for _, d := range b.claims() {
			if d.Target.ID == first.Target.ID {
				t.Errorf("a target that does not answer is told of another alert: %+v", d)
			}
		}
		b.passes(time.Minute)
		if got := b.claims(); len(got) != 3 { // the beginning, its end, and the other alert
			t.Errorf("%+v", got)
		}
		all, err := b.Alerts(t.Context(), b.project.ID, true, 10)
		b.ok(err)
		if len(all) != 2 || all[1].Told != 4 || all[1].Pending != 0 || all[0].Told != 3 {
			t.Errorf("%+v", all)
		}
		b.ok(b.RemoveTarget(t.Context(), later.ID))
		b.is(b.RemoveTarget(t.Context(), later.ID), ErrNotFound)
		b.ok(b.DeleteProject(t.Context(), b.project.ID))
		if left, err := b.Targets(t.Context()); err != nil || len(left) != 2 || left[0].ID != targets[0].ID || left[1].ProjectID != other.ID {
			t.Errorf("%+v, %v", left, err)
		}
		if all, err := b.Alerts(t.Context(), "", true, 10); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestClaimedOnce has many claim at the same time.
func TestClaimedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		const alerts = 40
		_, err := b.AddTarget(t.Context(), Target{Kind: "webhook", Config: "{}"}, b.now)
		b.ok(err)
		turn := b.turn()
		for i := range alerts {
			b.opens(turn, fmt.Sprint(i))
		}
		stores := []*Store{b.Store, open(t, b.dsn), open(t, b.dsn)}
		var all sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for i := range 12 {
			all.Go(func() {
				for {
					d, err := stores[i%3].Claim(t.Context(), b.now.Add(time.Minute), b.now)
					if err == ErrNotFound {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					got[d.Alert.ID]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for id, n := range got {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
		if len(got) != alerts {
			t.Errorf("%d claimed", len(got))
		}
	})
}

// TestForgotten keeps alerts for a while after their end.
func TestForgotten(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.opens(b.turn(), "failed")
		b.opens(b.turn(), "late")
		open, err := b.OpenAlerts(t.Context())
		b.ok(err)
		_, err = b.CloseAlert(t.Context(), b.turn(), open[0].ID, b.now)
		b.ok(err)
		left := func(want int) {
			t.Helper()
			b.ok(b.ForgetAlerts(t.Context(), b.now))
			if all, err := b.Alerts(t.Context(), "", true, 10); err != nil || len(all) != want {
				t.Errorf("%+v, %v", all, err)
			}
		}
		b.passes(keptFor)
		left(2)
		b.passes(time.Minute)
		left(1)
	})
}
