package scheduler

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStopped = errors.New("stopped by the test")

// bed is a loop in a bubble, whose clock begins at midnight of 1 January 2000,
// and a store that only knows when its newest backup began.
type bed struct {
	t  *testing.T
	mu sync.Mutex // held by the test, but while it lets time pass

	loop     *Loop
	requests chan struct{}

	newest  time.Time
	reads   int
	unread  error         // what reading the newest fails with
	fails   error         // what a backup fails with
	takes   time.Duration // how long a backup takes
	clock   time.Duration // by which the clock on the wall is ahead
	runs    []string      // when each began, and its reason
	started []time.Time
	plans   []Plan
	beats   []time.Time
}

func newBed(t *testing.T, expr string) *bed {
	b := &bed{t: t, requests: make(chan struct{}, 1), takes: time.Second}
	b.mu.Lock()
	b.loop = &Loop{
		Schedule: mustParse(t, expr, "UTC"), Seed: "shop", Requests: b.requests,
		Newest:  b.read,
		Backup:  b.backup,
		Planned: func(p Plan) { defer b.lock()(); b.plans = append(b.plans, p) },
		Beat:    func() { defer b.lock()(); b.beats = append(b.beats, time.Now()) },
		Now:     func() time.Time { defer b.lock()(); return b.now() },
	}
	return b
}

func (b *bed) now() time.Time { return time.Now().UTC().Add(b.clock) }

func (b *bed) read(context.Context) (time.Time, error) {
	defer b.lock()()
	b.reads++
	return b.newest, b.unread
}

func (b *bed) backup(_ context.Context, reason Reason) error {
	unlock := b.lock()
	began, takes := b.now(), b.takes
	b.started = append(b.started, began)
	b.runs = append(b.runs, began.Format("02 15:04:05 ")+string(reason))
	unlock()
	time.Sleep(takes)
	defer b.lock()()
	if b.fails == nil {
		b.newest = began
	}
	return b.fails
}

func (b *bed) lock() (unlock func()) {
	b.mu.Lock()
	return b.mu.Unlock
}

// start begins the loop; stop ends it and shows what it returns.
func (b *bed) start() (stop func()) {
	ctx, cancel := context.WithCancelCause(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.loop.Run(ctx) }()
	b.passes(0)
	return func() {
		b.t.Helper()
		b.mu.Unlock()
		defer b.mu.Lock()
		cancel(errStopped)
		if err := <-done; !errors.Is(err, errStopped) {
			b.t.Errorf("Run returned %v", err)
		}
	}
}

// passes lets time pass.
func (b *bed) passes(d time.Duration) {
	b.mu.Unlock()
	defer b.mu.Lock()
	time.Sleep(d)
	synctest.Wait()
}

func (b *bed) ran(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.runs); diff != "" {
		b.t.Errorf("runs: %s", diff)
	}
}

// planned compares the plans: "02 02:00:00 due: error".
func (b *bed) planned(want ...string) {
	b.t.Helper()
	var got []string
	for _, p := range b.plans {
		line := p.At.UTC().Format("02 15:04:05 ") + string(p.Reason)
		if p.Err != nil {
			line += ": " + p.Err.Error()
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("plans: %s", diff)
	}
}
