package agent

import (
	"time"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// paceOver is the time over which a rate is smoothed.
const paceOver = 5 * time.Second

// pace follows how fast a run goes, and since when it stands still.
type pace struct {
	last    pipeline.Snapshot
	at      time.Time // of the last look
	changed time.Time // when something moved last
	speed   float64   // bytes of dump a second
}

// moved takes a look at a run and returns for how long nothing of it moved.
func (p *pace) moved(now pipeline.Snapshot, at time.Time) time.Duration {
	elapsed := at.Sub(p.at)
	if !p.at.IsZero() && elapsed > 0 {
		weight := min(1, elapsed.Seconds()/paceOver.Seconds())
		p.speed += weight * (float64(now.Plain-p.last.Plain)/elapsed.Seconds() - p.speed)
	}
	if now != p.last || p.changed.IsZero() {
		p.changed = at
	}
	p.last, p.at = now, at
	return at.Sub(p.changed)
}

func (p *pace) rate() int64 { return max(0, int64(p.speed)) }
