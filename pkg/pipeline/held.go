package pipeline

import (
	"sync"
	"time"
)

// Held is what a run keeps from others on the server while it goes on.
type Held struct {
	Age     time.Duration // of the snapshot; 0: there is none
	Blocked int           // times that another session was seen to wait behind the run's locks
}

// heldNow knows the snapshot at hand, and how many waited behind earlier ones of
// the run.
type heldNow struct {
	mu      sync.Mutex
	now     func() Held
	blocked int
}

// Hold has Held tell of a snapshot until the function that it returns is called.
func (p *Progress) Hold(now func() Held) (release func()) {
	if p == nil {
		return func() {}
	}
	h := &p.held
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.blocked += now().Blocked
		h.now = nil
	})
}

// Held returns how it is now. It is no part of Snapshot: that a snapshot grows
// older is no progress.
func (p *Progress) Held() Held {
	h := &p.held
	h.mu.Lock()
	defer h.mu.Unlock()
	held := Held{Blocked: h.blocked}
	if h.now != nil {
		now := h.now()
		held.Age, held.Blocked = now.Age, held.Blocked+now.Blocked
	}
	return held
}

// Alive says that something goes on that writes nothing.
func (p *Progress) Alive() {
	if p != nil {
		p.alive.Add(1)
	}
}
