package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// service answers a poll.
type service struct {
	t     *testing.T
	poll  *Poll
	asked []time.Time
	made  []string
	plans []Plan

	due   func() bool
	fails error

	mu   sync.Mutex // of what changes while it polls
	away error

	requests chan struct{}
}

func newService(t *testing.T) *service {
	s := &service{t: t, due: func() bool { return false }, requests: make(chan struct{}, 1)}
	s.poll = &Poll{
		Every: 5 * time.Minute, Requests: s.requests, Planned: func(p Plan) { s.plans = append(s.plans, p) },
		Ask: func(context.Context) (bool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = append(s.asked, time.Now())
			return s.away == nil && s.due(), s.away
		},
		Backup: func(_ context.Context, reason Reason) error {
			s.made = append(s.made, fmt.Sprintf("%s %s", time.Now().UTC().Format("15:04"), reason))
			return s.fails
		},
	}
	return s
}

// runs polls while the steps are done, one after the other.
func (s *service) runs(steps ...func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- s.poll.Run(ctx) }()
	for _, step := range steps {
		synctest.Wait()
		step()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		s.t.Errorf("it ended with %v", err)
	}
}

func passes(d time.Duration) func() { return func() { time.Sleep(d) } }

func (s *service) wantMade(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.made, want) {
		s.t.Errorf("made %q, want %q", s.made, want)
	}
}

func TestPollAsksAtOnceAndAtItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.runs(passes(24 * time.Hour))
		s.wantMade()
		if n := len(s.asked); n < 280 || n > 297 {
			t.Errorf("asked %d times in a day", n)
		}
		least, most := time.Hour, time.Duration(0)
		for i, at := range s.asked[1:] {
			least, most = min(least, at.Sub(s.asked[i])), max(most, at.Sub(s.asked[i]))
		}
		if least < 270*time.Second || most > 330*time.Second || most-least < 30*time.Second {
			t.Errorf("waited between %s and %s", least, most)
		}
		if last := s.plans[len(s.plans)-1]; last.Reason != ReasonAsk || last.Err != nil {
			t.Errorf("%+v", last)
		}
	})
}

func TestPollMakesWhatIsDueOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		left := 1
		s.due = func() bool { left--; return left >= 0 }
		s.runs(passes(time.Hour))
		s.wantMade("00:00 due")
	})
}

func TestPollTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.due, s.fails = func() bool { return true }, errors.New("no such host")
		s.runs(passes(24 * time.Hour))
		if n := len(s.made); n < 25 || n > 40 {
			t.Errorf("tried %d times in a day: %q", n, s.made)
		}
		if s.made[1] != "00:01 retry" && s.made[1] != "00:00 retry" {
			t.Errorf("second try: %s", s.made[1])
		}
		if last := s.plans[len(s.plans)-1]; last.Reason != ReasonRetry || last.Err != s.fails || last.At.Sub(s.asked[len(s.asked)-1]) > time.Hour {
			t.Errorf("%+v", last)
		}
	})
}

// TestPollForgets: what failed here, and is not due any more, somebody else made.
func TestPollForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.due, s.fails = func() bool { return len(s.made) < 2 }, errors.New("no such host")
		s.runs(passes(time.Hour))
		if last := s.plans[len(s.plans)-1]; len(s.made) != 2 || last.Reason != ReasonAsk || last.Err != nil {
			t.Errorf("made %q, then %+v", s.made, last)
		}
	})
}

// TestPollBears: a service that is away is asked for ever, at the pace at least.
func TestPollBears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.away = errors.New("connection refused")
		back := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.away = nil
		}
		s.runs(passes(24*time.Hour), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if last := s.plans[len(s.plans)-1]; last.Err != s.away || last.Reason != ReasonAsk {
				t.Errorf("%+v", last)
			}
			if n := len(s.asked); n < 280 || n > 350 {
				t.Errorf("asked %d times in a day", n)
			}
		}, back, passes(6*time.Minute))
		if last := s.plans[len(s.plans)-1]; last.Err != nil {
			t.Errorf("%+v", last)
		}
	})
}

func TestPollRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		ask := func() { s.requests <- struct{}{} }
		s.runs(passes(7*time.Minute), ask, passes(time.Second), func() { s.fails = errors.New("x") }, ask, passes(time.Second), func() {
			if last := s.plans[len(s.plans)-1]; last.Reason != ReasonRetry || last.Err == nil {
				t.Errorf("after a request that failed: %+v", last)
			}
			close(s.requests)
		}, passes(time.Hour))
		s.wantMade("00:07 requested", "00:07 requested")
	})
}
