package locker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLostAnswers loses the answer to each kind of write after it was done, and
// the answer to the question whether it was.
func TestLostAnswers(t *testing.T) {
	late := fault{before: 3 * time.Minute, lost: errNet}
	for name, f := range map[string]fault{"lost": {lost: errNet}, "no answer": {after: time.Hour}, "found by the store's own retry": {lost: errChanged}, "late": late} {
		for _, unread := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMemory()
					a := newAgent(t, m, "a")
					lose := func(op string) {
						write, read := once(op, f), once("get", fault{refused: errNet})
						looked := op != "new" // Acquire looks once before it writes
						a.set(func(got string) fault {
							if got == "get" && unread && looked {
								return read(got)
							}
							looked = true
							return write(got)
						})
					}
					lose("new")
					run, release, err := a.Acquire(t.Context())
					if f == late && !unread { // not done in time, and so not his: but nobody else's either
						contains(t, err, nil, "no answer within 8s")
						a.set(nil)
						run, release = a.must(t)
					} else if err != nil {
						t.Fatal(err)
					}
					lose("replace") // a renewal
					time.Sleep(5 * time.Minute)
					if err := context.Cause(run); err != nil {
						t.Fatal(err)
					}
					lose("replace") // giving it back
					release()
					if f == late {
						time.Sleep(time.Hour)
					}
					if !m.last().Free {
						t.Error("it was not given back")
					}
				})
			})
		}
	}
}

// TestLostAnswerOfATakeover loses the answer when a dead holder's lease is taken.
func TestLostAnswerOfATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		_, release := a.must(t)
		a.die(release)
		time.Sleep(3 * time.Minute)
		b.set(once("replace", fault{lost: errNet}))
		run, release := b.must(t)
		writes := m.count()
		time.Sleep(time.Minute)
		if err := context.Cause(run); err != nil || m.count() != writes+1 || writes != 2 {
			t.Errorf("%v, %d and %d writes", err, writes, m.count())
		}
		release()
	})
}

// TestCannotRenew: a holder that reaches the store no more stops at half its term,
// and nobody has the lease before.
func TestCannotRenew(t *testing.T) {
	for name, f := range map[string]fault{
		"refused": {refused: errNet}, "silent": {before: 10 * time.Hour}, "reset": {after: time.Second, refused: errNet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
				run, release := a.must(t)
				a.set(func(string) fault { return fault{after: 7 * time.Second} }) // what counts is when it was sent
				time.Sleep(10*time.Minute + time.Second)
				renewed := m.writtenAt()
				a.set(func(string) fault { return f })
				<-run.Done()
				if held := time.Since(renewed); held != defaultTerm/2 {
					t.Errorf("it stopped %s after the last renewal", held)
				}
				reason := errNet.Error()
				if name == "silent" {
					reason = "no answer within 8s"
				}
				contains(t, context.Cause(run), ErrLost, leaseName, "for 1m0s", reason, "run again")
				refused(t, b)
				before := time.Now()
				release()
				if took := time.Since(before); took > 30*time.Second {
					t.Errorf("giving back what cannot be reached took %s", took)
				}
				time.Sleep(time.Minute)
				_, free := b.must(t)
				free()
			})
		})
	}
}

// TestShortOutage is one that a holder survives, whenever it comes.
func TestShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, newMemory(), "a")
		run, release := a.must(t)
		for range 100 {
			time.Sleep(61 * time.Second)
			a.set(fails(errNet))
			time.Sleep(17 * time.Second)
			a.set(nil)
			if err := context.Cause(run); err != nil {
				t.Fatal(err)
			}
		}
		release()
	})
}

// TestSlowClock: it is the holder's own clock that ends its term.
func TestSlowClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, newMemory(), "a")
		a.rate = 0.75
		run, release := a.must(t)
		start := time.Now()
		a.set(fails(errNet))
		<-run.Done()
		if held := time.Since(start).Round(time.Second); held != 80*time.Second {
			t.Errorf("it stopped after %s", held)
		}
		release()
	})
}

// TestPausedHolder stops a process while it holds the lease. Another takes it. When
// the first goes on it finds at once that its run has ended, before any of its
// timers fires, and what it then gives back is not the other's lease.
func TestPausedHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		run, release := a.must(t)
		a.sleepOver(59 * time.Second)
		if err := context.Cause(run); err != nil {
			t.Fatalf("before half its term: %v", err)
		}
		a.sleepOver(10 * time.Minute)
		now := time.Now()
		contains(t, context.Cause(run), ErrLost, "stood still")
		if run.Err() == nil || !time.Now().Equal(now) {
			t.Error("its end took time")
		}
		select {
		case <-run.Done():
		default:
			t.Error("not done")
		}
		text, err := json.Marshal(b.next(m.last(), "")) // b, in the ten minutes
		if err != nil {
			t.Fatal(err)
		}
		m.overwrite(text)
		release()
		if data, _, _ := m.get(); string(data) != string(text) {
			t.Errorf("the lease is now %s", data)
		}
	})
}

// TestPausedUnnoticed is a machine that was frozen with its clocks: its next renewal
// tells it.
func TestPausedUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "agent b on host-2")
		run, _ := a.must(t)
		text, err := json.Marshal(b.next(m.last(), ""))
		if err != nil {
			t.Fatal(err)
		}
		m.overwrite(text)
		<-run.Done()
		contains(t, context.Cause(run), ErrLost, "taken by agent b on host-2, since", "run again")
	})
}

func TestLeaseRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := newAgent(t, m, "a")
		run, release := a.must(t)
		m.overwrite(nil)
		<-run.Done()
		contains(t, context.Cause(run), ErrLost, "somebody removed it")
		release()
		for range 3 { // all begins anew, and yet no tag comes again
			_, release = a.must(t)
			release()
			m.overwrite(nil)
		}
		for tag, n := range m.tags {
			if n != 1 {
				t.Errorf("the tag %s was there %d times", tag, n)
			}
		}
	})
}

// TestAnnouncements follows ids of backups through the hands of several holders.
func TestAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		say := func(a *agent, id string) {
			t.Helper()
			now := time.Now()
			if err := a.Announce(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if m.last().Backup != id || !time.Now().Equal(now) {
				t.Errorf("the lease says %+v", m.last())
			}
		}
		want := func(a *agent, ids string) {
			t.Helper()
			if got := strings.Join(a.Left(), " "); got != ids {
				t.Errorf("left is %q, want %q", got, ids)
			}
		}
		a, b, c := newAgent(t, m, "a"), newAgent(t, m, "b"), newAgent(t, m, "c")
		_, release := a.must(t)
		say(a, "first")
		time.Sleep(10 * time.Minute)
		if m.last().Backup != "first" {
			t.Error("a renewal forgot the backup")
		}
		a.die(release)
		time.Sleep(3 * time.Minute)
		_, release = b.must(t)
		want(b, "first")
		say(b, "second")
		b.die(release) // before it could clean up
		time.Sleep(3 * time.Minute)
		_, release = c.must(t)
		want(c, "first second")
		c.Cleaned("first")
		say(c, "third")
		release() // and so it ended by itself
		d := newAgent(t, m, "d")
		_, release = d.must(t)
		want(d, "second")
		d.Cleaned(d.Left()...)
		release()
		_, release = c.must(t)
		want(c, "")
		release()
	})
}

// TestGivenBackInVain: the store is away when the lease is given back. The same
// agent takes it again at once, others after the term.
func TestGivenBackInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		_, release := a.must(t)
		a.set(fails(errNet))
		release()
		a.set(nil)
		refused(t, b)
		now := time.Now()
		_, release = a.must(t)
		if !time.Now().Equal(now) {
			t.Error("it waited for itself")
		}
		release()
	})
}

// TestBrokenOff ends a run while it asks for the lease, the answer under way: the
// lease must not be left behind.
func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		a.set(once("new", fault{after: time.Minute}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := a.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		_, release := b.must(t)
		b.die(release)
		time.Sleep(3 * time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := newAgent(t, m, "c").Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) { // watching
			t.Errorf("error %v", err)
		}
	})
}

// TestForbidden: what the store says comes through, at once.
func TestForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forbidden := errors.New("403: it may not write")
		a := newAgent(t, newMemory(), "a")
		for _, op := range []string{"get", "new"} {
			a.set(func(got string) fault {
				if got == op {
					return fault{refused: forbidden}
				}
				return fault{}
			})
			_, _, err := a.Acquire(t.Context())
			contains(t, err, forbidden, "lease "+leaseName)
			if errors.Is(err, ErrHeld) || errors.Is(err, ErrLost) {
				t.Errorf("error %v", err)
			}
		}
	})
}

// TestStalledReading: the first reading of a lease bears connections that stall,
// for half a term, and no longer.
func TestStalledReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, newMemory(), "a")
		stall, stalled := fault{before: 30 * time.Second}, 0
		a.set(func(op string) fault {
			if stalled++; op == "get" && stalled <= 3 {
				return stall
			}
			return fault{}
		})
		before := time.Now()
		_, release := a.must(t)
		if waited := time.Since(before); waited < 24*time.Second || waited > 40*time.Second {
			t.Errorf("it took %s", waited)
		}
		release()
		a.set(func(string) fault { return stall })
		before = time.Now()
		_, _, err := a.Acquire(t.Context())
		contains(t, err, nil, "reading it", "no answer within 1m0s")
		if waited := time.Since(before); waited > time.Minute {
			t.Errorf("it took %s", waited)
		}
	})
}
