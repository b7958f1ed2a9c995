package agent

import (
	"context"
	"time"
)

const (
	// grace is what a stuck stage, or a loop that is late, has left before the
	// watchdog is told no more.
	grace = 30 * time.Second
	// loopLimit is the longest that the loop sleeps.
	loopLimit = time.Minute
)

// watch tells the watchdog that the agent lives, as long as it does.
func (a *Agent) watch(ctx context.Context) {
	interval := a.options.Notifier.WatchdogInterval() / 2
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if a.alive(time.Now()) {
			a.options.Notifier.Watchdog()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alive says whether the loop turns, or the run at hand is within its limits.
func (a *Agent) alive(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.state.running
	if r == nil {
		return now.Sub(a.state.turned) <= loopLimit+grace
	}
	p := r.progress.Snapshot()
	if p != r.pace.last {
		return true
	}
	return now.Sub(r.pace.changed) <= a.options.StageLimit(p.Stage)+grace
}

// tell gives systemd the line that systemctl status shows.
func (a *Agent) tell() {
	s := a.Status()
	a.options.Notifier.Status(Line(s, time.Now()))
}
