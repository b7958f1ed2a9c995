package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/scheduler"
)

// Service says when a backup is due.
type Service struct {
	Every time.Duration // between two questions
	// Ask asks whether a backup is due; if so, Backup is called for that one.
	Ask func(ctx context.Context) (due bool, err error)
}

const (
	// askLimit is how long the service may take to answer.
	askLimit = 45 * time.Second
	// readEvery is how old the list of backups may become that others add to.
	readEvery = time.Hour
)

// ask asks the service whether a backup is due, and from time to time what it holds.
func (a *Agent) ask(ctx context.Context) (bool, error) {
	asking, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("%s gave no answer within %s", a.options.Storage, askLimit))
	defer cancel()
	due, err := a.options.Service.Ask(asking)
	if due || err != nil {
		return due, err
	}
	a.mu.Lock()
	fresh := a.state.fresh(time.Now())
	a.mu.Unlock()
	if fresh {
		return false, nil
	}
	a.beat()
	_, err = a.newest(ctx)
	return false, err
}

// fresh says whether what the service holds was read lately. When a backup was due
// since then, another agent may have made it.
func (s *state) fresh(now time.Time) bool {
	return s.known && now.Sub(s.read) < readEvery && (s.due.IsZero() || s.due.After(now))
}

// reread reads what a run has changed, if there is a service: when the next is due.
func (a *Agent) reread(ctx context.Context) {
	if a.options.Service != nil && ctx.Err() == nil {
		_, _ = a.newest(ctx) // the next question tells
	}
}

// asked is a plan to ask the service, as people know it: when a backup will be due.
func (s *state) asked(p scheduler.Plan) (at time.Time, reason string) {
	if p.Reason == scheduler.ReasonAsk && p.Err == nil && !s.due.IsZero() {
		return s.due, ReasonDue
	}
	return p.At, string(p.Reason)
}

// timetable is the schedule as people know it, and its time zone.
func (s *state) timetable(o *Options) (schedule, zone string) {
	switch {
	case o.Service == nil:
		return o.Schedule.String(), o.Timezone
	case s.schedule != "":
		return s.schedule, s.zone
	}
	return "the service's", ""
}

// overdueSince is when a backup was due that should have begun by now; zero where a
// service knows that.
func (o *Options) overdueSince(now time.Time) time.Time {
	if o.Service != nil {
		return time.Time{}
	}
	return o.Schedule.Latest(now.Add(-o.RandomDelay - overdueGrace))
}

// asks says whether the next thing to do is a question to the service.
func (s *Status) asks() bool { return s.Reason == ReasonAsk }
