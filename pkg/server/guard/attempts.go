// Package guard keeps out who has neither a key nor a token.
//
//	tokens := guard.NewTokens(store, time.Now)
//	token, err := tokens.Check(r) // a *guard.Refused says what to answer
//
// Keys and tokens are random and are found by their hashes, so that the time it takes
// tells nothing of them. Who tries many wrong ones is told to wait; who has a right one
// never is, since all may be behind one proxy.
package guard

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// Most is how many wrong keys or tokens one address may try in a Window.
	Most = 100
	// Window is in which time.
	Window = time.Minute

	mostRemembered = 10_000 // addresses
)

// Attempts counts wrong keys by address, a window at a time.
type Attempts struct {
	mu    sync.Mutex
	since time.Time
	count map[string]int
}

// NewAttempts has counted none.
func NewAttempts() *Attempts { return &Attempts{count: map[string]int{}} }

// Allow counts a wrong key, and says whether its address may go on.
func (a *Attempts) Allow(r *http.Request, now time.Time) bool {
	address := addressOf(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) >= Window || len(a.count) > mostRemembered { // a flood of addresses
		a.since, a.count = now, map[string]int{}
	}
	a.count[address]++
	return a.count[address] <= Most
}

// addressOf is who is at the other end; behind a proxy that is the proxy.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
