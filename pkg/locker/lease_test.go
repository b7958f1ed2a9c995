package locker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// contains says that an error is one, and says these things.
func contains(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func refused(t *testing.T, a *agent, words ...string) {
	t.Helper()
	_, _, err := a.Acquire(t.Context())
	contains(t, err, ErrHeld, words...)
}

func TestLeaseHeldAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "agent a on host-1"), newAgent(t, m, "agent b on host-2")
		since := time.Now().Local().Format(time.DateTime)
		run, release := a.must(t)
		time.Sleep(30 * time.Second)
		refused(t, b, "agent a on host-1, since "+since, "heard of 30s ago", leaseName, "wait until it ends", "runs out in 1m30s")
		refused(t, a, "this process holds")
		time.Sleep(time.Hour)
		refused(t, b, since) // renewed, and not since then
		if err := context.Cause(run); err != nil {
			t.Fatal(err)
		}
		release()
		release()
		if err := context.Cause(run); !errors.Is(err, context.Canceled) {
			t.Errorf("after the release: %v", err)
		}
		before := time.Now()
		_, release = b.must(t)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("a free lease was had after %s", waited)
		}
		refused(t, a, "agent b on host-2")
		release()
	})
}

// TestLeaseStates shows that no two states of a lease are equal, and that their
// counter only rises: each tag is a fence.
func TestLeaseStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		for range 3 {
			_, release := a.must(t)
			time.Sleep(time.Hour)
			release()
			_, release = b.must(t)
			release()
		}
		if n := m.count(); n < 3*91 || n > 3*95 {
			t.Errorf("%d writes in three hours", n)
		}
		for i, s := range m.written {
			if s.Counter != uint64(i)+1 {
				t.Fatalf("write %d has the counter %d", i, s.Counter)
			}
		}
		for tag, n := range m.tags {
			if n != 1 {
				t.Errorf("the tag %s was there %d times", tag, n)
			}
		}
	})
}

// TestLeaseOfTheDead asks for the lease of a holder that died, every second, with
// one agent that goes on and with ones that start anew each time.
func TestLeaseOfTheDead(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
			start := time.Now().Local()
			_, release := a.must(t)
			if err := a.Announce(t.Context(), "20261122T215643Z-7f3c2a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Second)
			last := m.writtenAt()
			a.die(release)
			for {
				if fresh {
					b = newAgent(t, m, "b")
				}
				told := ""
				b.watching = func(holder string, wait time.Duration) { told = holder + ", " + wait.String() }
				asked := time.Now()
				_, release, err := b.Acquire(t.Context())
				age := time.Since(last)
				if err == nil {
					release()
					if asked.Sub(last) <= defaultTerm || age > 200*time.Second {
						t.Errorf("taken after %s, asked after %s", age, asked.Sub(last))
					}
					if fresh && told != "a, since "+start.Format(time.DateTime)+", 1m12s" {
						t.Errorf("watched %q", told)
					}
					if !fresh && age > 123*time.Second {
						t.Errorf("taken after %s, though watched all the time", age)
					}
					break
				}
				contains(t, err, ErrHeld)
				time.Sleep(time.Second)
			}
			if left := b.Left(); len(left) != 1 || left[0] != "20261122T215643Z-7f3c2a" {
				t.Errorf("it left %q", left)
			}
		})
	}
}

// TestLeaseOfALiveOne seems to have run out, and is renewed while it is watched.
func TestLeaseOfALiveOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		run, _ := a.must(t)
		m.jump(time.Hour)
		before := time.Now()
		refused(t, b, "a, since")
		if waited := time.Since(before); waited < 40*time.Second {
			t.Errorf("it watched for %s only", waited)
		}
		if err := context.Cause(run); err != nil {
			t.Error(err)
		}
	})
}

// TestWrongClocks: agents whose clocks are an hour off and jump, while the lease
// is held and after its holder died.
func TestWrongClocks(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour, -1000 * time.Hour, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			m.shown = off
			a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
			run, release := a.must(t)
			for i := range 200 {
				time.Sleep(7 * time.Second)
				if i%10 == 0 {
					m.mu.Lock()
					m.shown = -m.shown // everybody's clock jumps
					m.mu.Unlock()
				}
				if i%17 == 0 {
					b.sleepOver(time.Hour) // and b's own clock on top
				}
				refused(t, b, "a, since")
				if err := context.Cause(run); err != nil {
					t.Fatal(err)
				}
			}
			a.die(release)
			last := m.writtenAt()
			time.Sleep(last.Add(defaultTerm).Sub(time.Now()))
			refused(t, b, "a, since")
			time.Sleep(2 * time.Second)
			_, release = b.must(t)
			release()
		})
	}
}

// TestStoreClockJumps: not even the store's clock can make two hold it.
func TestStoreClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
			run, release := a.must(t)
			for range 20 {
				time.Sleep(33 * time.Second)
				m.jump(jump)
				refused(t, b)
				if err := context.Cause(run); err != nil {
					t.Fatal(err)
				}
			}
			a.set(fails(errNet)) // it lives, and cannot renew: the clock jumps again
			m.jump(3 * time.Hour)
			_, free := b.must(t)
			contains(t, context.Cause(run), ErrLost)
			release()
			free()
		})
	}
}

// TestRacingForALease lets 8 ask at once for a lease that was never there, that is
// free, and that a dead holder left.
func TestRacingForALease(t *testing.T) {
	for _, kind := range []string{"new", "free", "dead"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			if kind != "new" {
				first := newAgent(t, m, "first")
				_, release := first.must(t)
				if kind == "dead" {
					first.die(release)
					time.Sleep(3 * time.Minute)
				}
				release()
			}
			var winners atomic.Int32
			var all sync.WaitGroup
			for range 8 {
				a := newAgent(t, m, "racer")
				all.Go(func() {
					_, release, err := a.Acquire(t.Context())
					if err == nil {
						winners.Add(1)
						time.Sleep(10 * time.Minute)
						release()
					} else if !errors.Is(err, ErrHeld) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := winners.Load(); n != 1 {
				t.Errorf("%s: %d winners", kind, n)
			}
		})
	}
}

// TestStrangeLeases: what somebody else wrote must neither stop backups for ever
// nor spoil a message.
func TestStrangeLeases(t *testing.T) {
	for _, text := range []string{
		"", "garbage", "null", `{"owner":7}`, `{"owner":"\u001b[2J\u202eevil","session":"x","term":-1}`,
		`{"owner":"long","term":9223372036854775807}`, `{"owner":"` + strings.Repeat("x", 5000) + `"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			m.overwrite([]byte(text))
			a := newAgent(t, m, "a")
			_, _, err := a.Acquire(t.Context())
			contains(t, err, ErrHeld, "since", "wait until it ends")
			if !strings.Contains(text, `"owner":"`) {
				contains(t, err, ErrHeld, "somebody unknown")
			}
			if strings.ContainsAny(err.Error(), "\x1b\u202e") || len(err.Error()) > 600 {
				t.Errorf("message %q", err)
			}
			time.Sleep(maxTerm + time.Minute)
			_, release := a.must(t)
			release()
		})
	}
}

// TestStoreWithoutTimes never lets a lease be taken of which nobody knows how old it is.
func TestStoreWithoutTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := newAgent(t, m, "a")
		text, err := json.Marshal(body{Owner: "b", Session: "b"})
		if err != nil {
			t.Fatal(err)
		}
		m.overwrite(text)
		m.modified = time.Time{}.Add(-m.shown)
		time.Sleep(24 * time.Hour)
		refused(t, a, "b, and the store does not say", "DBACKED_LOCK=database")
	})
}

func TestLeaseOfARunThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		cause := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		run, release, err := a.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		child, end := context.WithTimeout(run, time.Hour)
		defer end()
		cancel(cause)
		<-child.Done()
		if got := context.Cause(child); !errors.Is(got, cause) {
			t.Errorf("cause %v", got)
		}
		refused(t, b) // it cleans up yet
		if err := a.Announce(t.Context(), "x"); !errors.Is(err, cause) {
			t.Errorf("announced after the end: %v", err)
		}
		release()
		_, free := b.must(t)
		free()
		if _, _, err := a.Acquire(ctx); !errors.Is(err, cause) {
			t.Errorf("asked with a context that ended: %v", err)
		}
		if err := a.Announce(t.Context(), "x"); err == nil {
			t.Error("announced without a lease")
		}
	})
}
