package scheduler

import (
	"context"
	"math/rand/v2"
	"time"
)

// Poll asks again and again whether a backup is due, of a service that knows, and
// calls for each that is.
//
// A question that fails is asked again, after a growing delay that is never longer
// than the time between two questions; a backup that failed is asked for again as
// [Loop] tries again, a minute later at first, and at least once an hour.
type Poll struct {
	Every time.Duration // between two questions, give or take a tenth, so that many agents do not ask at once

	// Ask asks whether a backup is due. If so, Backup is called for it.
	Ask func(ctx context.Context) (due bool, err error)
	// Backup makes a backup: the one that Ask was told of, or one that was
	// requested. Any error means that there is none.
	Backup func(ctx context.Context, reason Reason) error

	// The rest is as in Loop.

	Requests <-chan struct{}
	Planned  func(Plan)
	Beat     func()

	Tick time.Duration
	Now  func() time.Time
}

// Run asks until ctx ends, and returns the cause of that. All functions are called
// from this goroutine, and a run that goes on is waited for.
func (p *Poll) Run(ctx context.Context) error {
	r := &poller{Poll: p, waiter: waiter{requests: p.Requests, tick: p.Tick, clock: p.Now, turned: p.Beat}, teller: teller{planned: p.Planned}}
	for ctx.Err() == nil {
		r.beat()
		due, err := r.Ask(ctx)
		var plan Plan
		switch {
		case due:
			plan = r.run(ctx, r.reason())
		case ctx.Err() != nil:
		case err != nil:
			plan = r.away(err)
		default:
			r.asks, r.runs = retry{}, retry{} // what failed is not due any more: somebody else made it
			plan = r.idle()
		}
		for ctx.Err() == nil {
			r.tell(plan)
			if !r.wait(ctx, plan.At) {
				break
			}
			plan = r.run(ctx, ReasonRequested)
		}
	}
	return context.Cause(ctx)
}

// poller is a Poll that runs.
type poller struct {
	*Poll
	waiter
	teller
	asks retry // of Ask
	runs retry // of Backup
}

// reason is why the backup is made that is due.
func (r *poller) reason() Reason {
	if r.runs.err != nil {
		return ReasonRetry
	}
	return ReasonDue
}

// run makes a backup, and says when to ask for the next one.
func (r *poller) run(ctx context.Context, reason Reason) Plan {
	r.asks = retry{}
	r.beat()
	r.answer()
	if err := r.Backup(ctx, reason); err != nil {
		now := r.now()
		r.runs.failed(err, now, now.Add(lastRetry))
		return Plan{At: r.runs.at, Reason: ReasonRetry, Err: err}
	}
	r.runs = retry{}
	return r.idle()
}

// away plans the next question after one that got no answer.
func (r *poller) away(err error) Plan {
	now := r.now()
	r.asks.failed(err, now, now.Add(r.Every))
	return Plan{At: r.asks.at, Reason: ReasonAsk, Err: err}
}

// idle plans the next question.
func (r *poller) idle() Plan {
	tenth := max(r.Every/10, 1)
	return Plan{At: r.now().Add(r.Every - tenth + rand.N(2*tenth)), Reason: ReasonAsk}
}
