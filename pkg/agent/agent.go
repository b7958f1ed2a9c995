// Package agent is the long life of dbacked: it makes a backup whenever one is
// due, tells systemd and people how it goes, and stops cleanly.
//
// What is due follows from the store alone: from the start of the newest proved
// backup there. So a reboot or a missed night catches up, and nothing that the
// agent remembers can be lost. What it does remember (the last runs, for the
// page) is for people.
//
// Where a service says what is due ([Options.Service]), it is asked instead, again and
// again.
//
// A store, a service or a database that is away never ends the agent: the run fails, is
// tried again after a growing delay, and [Status] says so.
//
//	a := agent.New(agent.Options{…})
//	go func() { _ = agent.NewServer(agent.NewHandler(a, check)).Serve(listener) }()
//	err := a.Run(ctx) // until ctx ends, or ErrDrained after Drain
package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/scheduler"
)

// Errors of an agent.
var (
	// ErrDrained is what Run returns after Drain: the run at hand was finished.
	ErrDrained = errors.New("drained")
	// ErrStopping says that no backup can be asked for any more.
	ErrStopping = errors.New("the agent is stopping: ask again when it is back")
	// ErrStuck ends a run whose stage shows no progress within its limit.
	ErrStuck = errors.New("no progress")
)

const (
	// skew is how far ahead another host's clock may be.
	skew = 10 * time.Minute
	// readLimit is how long the store may take to say what it holds.
	readLimit = time.Minute
)

// Notifier is told how the agent is: systemd, or nobody. It is called from
// several goroutines.
type Notifier interface {
	Status(text string)
	Watchdog()
	WatchdogInterval() time.Duration // that may pass between two calls of Watchdog; 0: none are wanted
}

// Store is where the backups lie.
type Store interface {
	// History returns the newest proved backups, at most n. Of several places it
	// fails only if none can be read.
	History(ctx context.Context, n int) (History, error)
}

// Options is what an agent needs. All fields must be set unless they say
// otherwise.
type Options struct {
	Instance string
	Version  string // of the program
	Storage  string // as people know it, without secrets

	// When backups are due. All of it is empty where a Service says that.
	Schedule    *scheduler.Schedule
	Timezone    string
	RandomDelay time.Duration
	Service     *Service

	Store Store
	// Backup makes one backup, for one of the Reasons, under the lock, and counts
	// in progress. Its error is a *pipeline.StageError, or, with a backup, a
	// *pipeline.PartialError.
	Backup func(ctx context.Context, reason string, progress *pipeline.Progress) (Backup, error)
	// After follows each proved backup: what is too old is removed, of several
	// places in those that hold it. Its error is an alert, and no failure of the
	// backup; it lasts until After succeeds. May be nil.
	After func(ctx context.Context, made Backup) error
	// Held says that an error means that another run holds the lock.
	Held func(error) bool
	// Yielded says that an error means that the run gave way to others on the
	// server. May be nil.
	Yielded func(error) bool
	// StageLimit is how long a stage may show no progress.
	StageLimit func(stage string) time.Duration

	Notifier Notifier
	Ping     Pinger // may be nil
	RunsFile string // where the last runs are remembered; empty: nowhere
	Log      *zap.Logger
}

// Agent makes backups of one instance.
type Agent struct {
	options  Options
	requests chan struct{}
	reading  chan struct{} // holds one while the store is being read

	mu    sync.Mutex
	state state

	drain context.CancelCauseFunc // ends the loop, but no run
}

// New returns an agent that does nothing before Run.
func New(o Options) *Agent {
	a := &Agent{options: o, requests: make(chan struct{}, 1), reading: make(chan struct{}, 1), drain: func(error) {}}
	a.state = newState(time.Now(), os.Getpid())
	return a
}

// Run makes backups until ctx ends, which also ends the run at hand, or until
// Drain. It returns the cause.
func (a *Agent) Run(ctx context.Context) error {
	a.recall()
	looping, drain := context.WithCancelCause(ctx)
	defer drain(nil)
	a.mu.Lock()
	a.drain = drain
	if a.state.draining {
		drain(ErrDrained)
	}
	a.mu.Unlock()

	var watching sync.WaitGroup
	watched, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watching.Go(func() { a.watch(watched) })
	defer watching.Wait()
	defer stopWatching()

	// A run outlives a loop that drains, so its context is not the loop's.
	backup := func(_ context.Context, reason scheduler.Reason) error {
		defer a.reread(ctx)
		return a.run(ctx, string(reason))
	}
	err := a.loop(backup).Run(looping)
	a.stopping()
	return err
}

// looper calls for backups until its context ends.
type looper interface {
	Run(ctx context.Context) error
}

func (a *Agent) loop(backup func(context.Context, scheduler.Reason) error) looper {
	if s := a.options.Service; s != nil {
		return &scheduler.Poll{Every: s.Every, Ask: a.ask, Backup: backup, Requests: a.requests, Planned: a.planned, Beat: a.beat}
	}
	return &scheduler.Loop{
		Schedule: a.options.Schedule, RandomDelay: a.options.RandomDelay, Seed: a.options.Instance,
		Newest: a.newest, Backup: backup, Requests: a.requests, Planned: a.planned, Beat: a.beat,
	}
}

// Request asks for a backup now, and returns the number of the run that makes
// it: of the one at hand, if there is one.
func (a *Agent) Request() (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.draining || a.state.stopping {
		return 0, ErrStopping
	}
	if a.state.running != nil {
		return a.state.running.number, nil
	}
	select {
	case a.requests <- struct{}{}:
	default: // asked for already
	}
	return a.state.number + 1, nil
}

// Drain makes Run finish the run at hand, if there is one, and return
// ErrDrained.
func (a *Agent) Drain() {
	a.mu.Lock()
	a.state.draining = true
	drain := a.drain
	a.mu.Unlock()
	drain(ErrDrained)
	a.tell()
}

func (a *Agent) stopping() {
	a.mu.Lock()
	a.state.stopping = true
	a.mu.Unlock()
	a.tell()
}

// newest reads the store, for the loop and for the page.
func (a *Agent) newest(ctx context.Context) (time.Time, error) {
	history, err := a.read(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the backups in %s: %w", a.options.Storage, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.state.hold(history, now)
	began, _ := a.state.furthest(now)
	return began, nil
}

// read asks the store what it holds. A file system that hangs cannot be called
// back: then the agent goes on without the answer, and asks again only after it.
func (a *Agent) read(ctx context.Context) (History, error) {
	type answer struct {
		history History
		err     error
	}
	select {
	case a.reading <- struct{}{}:
	default:
		return History{}, errors.New("the storage has not answered the last question yet: is its file system alive?")
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	got := make(chan answer, 1)
	go func() {
		history, err := a.options.Store.History(ctx, maxRuns)
		<-a.reading
		got <- answer{history, err}
	}()
	select {
	case r := <-got:
		return r.history, r.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return History{}, fmt.Errorf("no answer within %s: is its file system alive?", readLimit)
		}
		return History{}, context.Cause(ctx)
	}
}

// planned is told when the loop means to run next.
func (a *Agent) planned(p scheduler.Plan) {
	a.mu.Lock()
	before := a.state.away
	a.state.plan(p)
	now := a.state.away
	a.mu.Unlock()
	switch {
	case now != "" && before == "":
		a.options.Log.Warn("waiting", zap.String("event", "waiting"), zap.Error(p.Err), zap.Time("next", p.At))
	case now == "" && before != "":
		a.options.Log.Info(a.options.Storage+" answers again", zap.String("event", "recovered"))
	}
	a.tell()
}

func (a *Agent) beat() {
	a.mu.Lock()
	a.state.turned = time.Now()
	a.mu.Unlock()
	a.tell()
}
