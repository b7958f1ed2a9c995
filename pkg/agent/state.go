package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/scheduler"
)

// maxRuns is how many of the last runs are shown.
const maxRuns = 30

// state is what an agent knows of itself. The agent's mutex guards it.
type state struct {
	since  time.Time
	pid    int
	turned time.Time // when the loop turned last

	known   bool      // the store was read at least once
	read    time.Time // when it was last
	history []Backup
	places  []PlaceHistory
	away    string // why the store could not be read

	schedule, zone string    // of a service that says it
	due            time.Time // when it finds a backup due

	next    time.Time
	reason  string
	number  uint64 // of the last run that began
	running *running
	runs    []Run  // that this agent remembers, newest first
	ended   string // how the last run ended: its error, empty after a good one
	alert   string // why what follows a backup was not done
	failure string // why the last run that had the lock failed; empty after a good one
	partial bool   // and that it did so in some places only

	draining, stopping bool

	attempts, successes, partials, lockWaits uint64
	blocked                                  uint64 // sessions, by the runs that are over
	failures                                 map[string]uint64
}

// running is the run at hand.
type running struct {
	number   uint64
	reason   string
	started  time.Time
	progress *pipeline.Progress
	pace     pace
}

func newState(now time.Time, pid int) state {
	return state{since: now, pid: pid, turned: now, failures: map[string]uint64{}}
}

// hold takes what the store holds.
func (s *state) hold(h History, now time.Time) {
	s.read, s.schedule, s.zone, s.due = now, h.Schedule, h.Timezone, h.Due
	s.known, s.history, s.places = true, h.Backups, h.Places
}

// plan takes when the next run is meant to be.
func (s *state) plan(p scheduler.Plan) {
	s.next, s.reason = s.asked(p)
	s.away = ""
	if p.Err == nil { // also when another host made the backup that failed here
		s.failure, s.partial = "", false
	}
	if p.Err != nil && p.Err.Error() != s.ended {
		s.away = p.Err.Error()
	}
}

// newest is the newest backup in any place.
func (s *state) newest(now time.Time) (Backup, bool) { return newest(s.history, now) }

// begin counts a new run.
func (s *state) begin(reason string, progress *pipeline.Progress, now time.Time) *running {
	s.number++
	s.attempts++
	s.running = &running{number: s.number, reason: reason, started: now, progress: progress}
	s.running.pace.moved(progress.Snapshot(), now)
	return s.running
}

// end takes a run that is over.
func (s *state) end(r Run, held bool) {
	s.running = nil
	s.ended = r.Error
	s.runs = slices.Insert(s.runs, 0, r)
	s.runs = s.runs[:min(len(s.runs), maxRuns)]
	switch {
	case r.Error == "":
		s.successes++
		s.failure, s.partial = "", false
	case r.Partial:
		s.partials++
		s.failure, s.partial = r.Error, true
	case held: // the other run makes the backup
		s.lockWaits++
	default:
		s.failures[r.Stage]++
		s.failure, s.partial = r.Error, false
	}
}

// Status returns what the agent is doing now.
func (a *Agent) Status() Status {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s, o := &a.state, &a.options
	out := Status{
		Version: StatusVersion, Instance: o.Instance, AgentVersion: o.Version, PID: s.pid, Since: s.since.UTC(),
		State: s.name(), Storage: o.Storage,
		Runs: s.lastRuns(), Attempts: s.attempts, Successes: s.successes, LockWaits: s.lockWaits, Partials: s.partials, Failures: maps.Clone(s.failures),
		BlockedSessions: s.blocked,
	}
	out.Service = o.Service != nil
	out.Schedule, out.Timezone = s.timetable(o)
	out.Places = s.statusPlaces(now)
	out.Problem = s.problem(o, now)
	out.Healthy = out.Problem == ""
	if !s.next.IsZero() && !s.draining && !s.stopping {
		next := s.next.UTC()
		out.Next, out.Reason = &next, s.reason
	}
	if len(s.history) > 0 {
		newest := s.history[0]
		out.Newest = &newest
	}
	if r := s.running; r != nil {
		p := r.progress.Snapshot()
		out.Running = &Running{
			Number: r.number, Reason: r.reason, Started: r.started.UTC(), Stage: p.Stage,
			PlainBytes: p.Plain, StoredBytes: p.Stored, BytesPerSecond: r.pace.rate(),
		}
		held := r.progress.Held()
		out.Running.SnapshotSeconds, out.Running.BlockedSessions = int64(held.Age.Seconds()), held.Blocked
		out.BlockedSessions += uint64(held.Blocked)
	}
	return out
}

func (s *state) name() string {
	switch {
	case s.stopping:
		return StateStopping
	case s.draining:
		return StateDraining
	case s.running != nil:
		return StateRunning
	case s.failure != "" || s.away != "":
		return StateRetrying
	case !s.known:
		return StateStarting
	}
	return StateIdle
}

// lastRuns joins the runs that are remembered with the backups in the store of
// which there is no memory: others made them, or the memory was lost.
func (s *state) lastRuns() []Run {
	all := append([]Run{}, s.runs...)
	for _, b := range s.history {
		if slices.ContainsFunc(s.runs, func(r Run) bool { return r.Backup == b.ID }) {
			continue
		}
		all = append(all, Run{Started: b.Started, Finished: b.Finished, Backup: b.ID, PlainBytes: b.PlainBytes, StoredBytes: b.StoredBytes, Places: holders(b)})
	}
	slices.SortStableFunc(all, func(a, b Run) int { return b.Started.Compare(a.Started) })
	return all[:min(len(all), maxRuns)]
}
