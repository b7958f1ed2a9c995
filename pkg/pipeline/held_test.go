package pipeline

import (
	"testing"
	"time"
)

// TestHeld: what waited behind one snapshot of a run is not forgotten with it, and
// that a snapshot grows older is no progress.
func TestHeld(t *testing.T) {
	p := new(Progress)
	before := p.Snapshot()
	for i, want := range []Held{{time.Minute, 3}, {time.Minute, 6}} {
		release := p.Hold(func() Held { return Held{time.Minute, 3} })
		if got := p.Held(); got != want {
			t.Errorf("snapshot %d: %+v", i, got)
		}
		release()
		release()
		if got := p.Held(); got != (Held{Blocked: want.Blocked}) {
			t.Errorf("after snapshot %d: %+v", i, got)
		}
	}
	if p.Snapshot() != before {
		t.Error("it is progress")
	}
	if p.Alive(); p.Snapshot() == before {
		t.Error("what goes on without a byte is no progress")
	}
	var none *Progress
	none.Hold(nil)()
	none.Alive()
}
