package scheduler

import (
	"context"
	"time"
)

// Reason is why a backup is made.
type Reason string

// Reasons why a backup is made.
const (
	ReasonDue       Reason = "due"       // the schedule says so, or there is no backup yet
	ReasonRetry     Reason = "retry"     // the last run failed
	ReasonRequested Reason = "requested" // somebody asked for it
	// ReasonAsk is none: whether a backup is due is to be asked.
	ReasonAsk Reason = "ask"
)

const (
	// defaultTick is how long the loop sleeps at most.
	defaultTick = time.Minute
	// clockError is how far the clocks of two hosts may differ. A backup that
	// began later than that from now was made while a clock was wrong, and says
	// nothing of what is due.
	clockError = 10 * time.Minute
)

// Plan is what a loop means to do next.
type Plan struct {
	// At is when the next run is to begin. It may be past: the run begins now.
	At     time.Time
	Reason Reason
	// Err is why the last run failed, or why the newest backup could not be
	// read: then it is read again at At. Nil if all went well.
	Err error
}

// Loop calls for a backup whenever one is due: at the first due time after the
// start of the newest backup, plus a random delay. So a machine that was off
// catches up once it is back, and without any backup one is due now.
//
// After a failure it tries again: after a minute at first and then after twice
// as long each time, up to an hour, give or take a fifth, but never later than
// the next due time. A retry is given up when a backup has appeared meanwhile.
//
// The clock on the wall decides, and is read again at each tick: a suspended
// machine, or a clock that was set, is noticed within one.
type Loop struct {
	Schedule    *Schedule
	RandomDelay time.Duration // below which the delay of each due time is; it ends before the next due time
	Seed        string        // of the random delays: what tells this instance from others

	// Newest returns when the newest proved backup began, or the zero time if
	// there is none. It is called at the start, before each run that was not
	// requested (another host may have made the backup), and after each run.
	Newest func(ctx context.Context) (time.Time, error)
	// Backup makes a backup. Any error means that there is none.
	Backup func(ctx context.Context, reason Reason) error

	Requests <-chan struct{} // each asks for a backup now; those that wait when a run begins are answered by it. May be nil
	Planned  func(Plan)      // is told each new plan. May be nil
	Beat     func()          // is called whenever the loop turns, at least once a tick but while Newest or Backup runs. May be nil

	Tick time.Duration    // how long the loop sleeps at most; 0: a minute
	Now  func() time.Time // the clock on the wall; nil: time.Now
}

// Run calls for backups until ctx ends, and returns the cause of that. All
// functions of the loop are called from this goroutine, and a run that goes on
// is waited for.
func (l *Loop) Run(ctx context.Context) error {
	r := &runner{Loop: l, waiter: waiter{requests: l.Requests, tick: l.Tick, clock: l.Now, turned: l.Beat}, teller: teller{planned: l.Planned}}
	for ctx.Err() == nil {
		plan, known := r.plan(ctx)
		if ctx.Err() != nil {
			break
		}
		r.tell(plan)
		if known && !plan.At.After(r.now()) {
			r.run(ctx, plan.Reason)
		} else if r.wait(ctx, plan.At) {
			r.run(ctx, ReasonRequested)
		}
	}
	return context.Cause(ctx)
}

// runner is a loop that runs.
type runner struct {
	*Loop
	waiter
	teller
	newest time.Time // as it was read last; zero if it was not
	made   time.Time // when the last run began that went well
	runs   retry     // of the backup
	reads  retry     // of Newest
	before time.Time // the newest before the run that failed
}

// plan reads the newest backup and says what follows. It is not known when
// that could not be read.
func (r *runner) plan(ctx context.Context) (plan Plan, known bool) {
	r.beat()
	newest, err := r.Newest(ctx)
	now := r.now()
	if err != nil {
		r.reads.failed(err, now, r.Schedule.Next(now))
		return Plan{At: r.reads.at, Reason: ReasonRetry, Err: err}, false
	}
	r.reads = retry{}
	r.newest = newest
	if r.runs.err != nil && newest.After(r.before) {
		r.runs = retry{} // somebody else made it
	}
	if r.runs.err != nil {
		return Plan{At: r.runs.due(now), Reason: ReasonRetry, Err: r.runs.err}, true
	}
	return Plan{At: r.due(now), Reason: ReasonDue}, true
}

// due returns when the next backup is due.
func (r *runner) due(now time.Time) time.Time {
	// A store may be slow to list what was just made.
	var last time.Time
	for _, t := range []time.Time{r.newest, r.made} {
		if t.Before(now.Add(clockError)) {
			last = later(last, t)
		}
	}
	if last.IsZero() {
		return now
	}
	due := r.Schedule.Next(last)
	limit := min(r.RandomDelay, r.Schedule.Next(due).Sub(due)) // or the next one would be skipped
	return due.Add(Delay(r.Seed, due, limit))
}

// run makes a backup.
func (r *runner) run(ctx context.Context, reason Reason) {
	r.beat()
	r.answer()
	began := r.now()
	if err := r.Backup(ctx, reason); err != nil {
		now := r.now()
		r.runs.failed(err, now, r.Schedule.Next(now))
		if r.before = r.newest; r.reads.err != nil {
			r.before = began // what there was is not known
		}
		return
	}
	r.runs, r.made = retry{}, began
}
