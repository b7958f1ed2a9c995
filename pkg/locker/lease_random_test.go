package locker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// holders knows by true time who holds the lease.
type holders struct {
	mu                        sync.Mutex
	all                       []context.Context
	had, lost, crashed, tries int
}

// add notes a run, whose end its own context tells exactly: a clash is two that
// have not ended.
func (h *holders) add(t *testing.T, run context.Context, who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var live []context.Context
	for _, other := range h.all {
		if context.Cause(other) == nil {
			t.Errorf("%s: %s has the lease while another is within its term", time.Now().Format(time.TimeOnly), who)
			live = append(live, other)
		}
	}
	h.had++
	h.all = append(live, run)
}

func (h *holders) count(n *int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*n++
}

// TestRandomLives lets agents whose clocks run at different rates take, hold, give
// back and lose a lease, and die with it, over a network that delays, refuses and
// loses, with a store whose clock jumps. Never do two hold it; and when the
// weather is fine again it can be had.
func TestRandomLives(t *testing.T) {
	var sum holders
	seeds := uint64(60)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, h := newMemory(), &holders{}
				var all sync.WaitGroup
				end := time.Now().Add(4 * time.Hour)
				for i := range 4 {
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					all.Go(func() { lives(t, m, h, r, fmt.Sprintf("agent %d", i), end) })
				}
				r := rand.New(rand.NewPCG(seed, 99))
				for time.Now().Before(end) {
					time.Sleep(time.Duration(r.IntN(1200)) * time.Second)
					m.jump(time.Duration(r.IntN(7200)-3600) * time.Second)
				}
				all.Wait()
				time.Sleep(4 * time.Hour) // what was under way is done, and lies in the past
				a := newAgent(t, m, "last")
				run, release := a.must(t)
				h.add(t, run, "last")
				release()
				sum.had, sum.lost, sum.crashed, sum.tries = sum.had+h.had, sum.lost+h.lost, sum.crashed+h.crashed, sum.tries+h.tries
			})
		})
	}
	t.Logf("asked %d times, had %d times, lost %d times, died with it %d times", sum.tries, sum.had, sum.lost, sum.crashed)
	if sum.had < int(seeds)*10 || sum.lost == 0 || sum.crashed == 0 {
		t.Error("the seeds show too little")
	}
}

// lives is one host: agents that follow each other.
func lives(t *testing.T, m *memory, h *holders, r *rand.Rand, name string, end time.Time) {
	for time.Now().Before(end) {
		a := newAgent(t, m, name)
		a.rate = 0.97 + r.Float64()*0.06
		a.set(weather(rand.New(rand.NewPCG(r.Uint64(), 0)))) // asked from several goroutines, under a lock
		for life(t, a, h, r) && time.Now().Before(end) {
			time.Sleep(time.Duration(r.IntN(120)) * time.Second)
		}
	}
}

// life is one run of an agent; it says whether the agent outlived it.
func life(t *testing.T, a *agent, h *holders, r *rand.Rand) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.count(&h.tries)
	run, release, err := a.Acquire(ctx)
	if err != nil {
		return true
	}
	h.add(t, run, a.owner)
	a.Cleaned(a.Left()...)
	dies, length := r.IntN(4) == 0, time.Duration(r.IntN(600))*time.Second
	if r.IntN(2) == 0 {
		_ = a.Announce(run, "some backup")
	}
	select {
	case <-run.Done():
	case <-time.After(length):
	}
	if errors.Is(context.Cause(run), ErrLost) {
		h.count(&h.lost)
	}
	if dies {
		h.count(&h.crashed)
		a.cancel = cancel
		a.die(release)
		return false
	}
	release()
	return true
}
