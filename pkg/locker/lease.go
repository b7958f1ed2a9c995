package locker

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// defaultTerm is how long a lease outlives its last renewal.
	defaultTerm = 2 * time.Minute
	// maxTerm bounds the term, so that what anybody wrote into the object does
	// not stand in the way for ever.
	maxTerm = time.Hour
	// releaseLimit bounds how long giving a lease back may take. If it cannot be
	// done the lease ends by itself.
	releaseLimit = 10 * time.Second
)

// Version is one state of a small object.
type Version struct {
	Tag           string    // differs from that of every other state
	Modified, Now time.Time // by the store's clock: when it was written, and when the store answered
}

// Conditional keeps small objects, and replaces one only if it is still the one
// that the writer has seen. Every method may be done although it says an error:
// its answer may have been lost.
type Conditional interface {
	// Get reads an object.
	Get(ctx context.Context, name string) ([]byte, Version, error)
	// PutNew writes an object if there is none of that name.
	PutNew(ctx context.Context, name string, data []byte) (Version, error)
	// Replace overwrites an object if its tag is still this one.
	Replace(ctx context.Context, name string, data []byte, tag string) (Version, error)
}

// LeaseOptions say how a lease is held. The zero value will do.
type LeaseOptions struct {
	Owner string        // who holds it, for people; default: this process and its host
	Term  time.Duration // default 2 minutes, at most an hour

	// Watching is told who seems to be dead before Acquire watches the lease for
	// that time. It may be nil.
	Watching func(holder string, wait time.Duration)
}

// Lease is a lock kept as an object in a store that all hosts share. It may be
// used again and again, by one run at a time.
type Lease struct {
	store    Conditional
	notFound error
	name     string
	owner    string
	term     time.Duration
	watching func(holder string, wait time.Duration)
	session  string               // tells this value from all others
	clock    func() time.Duration // never goes back; the wall clock is not asked

	mu   sync.Mutex // never held while something is awaited
	busy bool
	hold *hold
	seen sighting
	left []string
}

// sighting is since when, by the clock, a lease is known to be unchanged.
type sighting struct {
	tag string
	at  time.Duration
}

// NewLease returns a lease kept in the object of that name; notFound is the
// error that the store's Get wraps where there is none.
func NewLease(store Conditional, notFound error, name string, o LeaseOptions) *Lease {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Lease{
		store: store, notFound: notFound, name: name,
		owner:    cmp.Or(o.Owner, fmt.Sprintf("process %d on %q", os.Getpid(), host)),
		term:     limitTerm(o.Term, defaultTerm),
		watching: o.Watching,
		session:  rand.Text(),
		clock:    bootClock(),
	}
}

func limitTerm(term, otherwise time.Duration) time.Duration {
	if term <= 0 {
		term = otherwise
	}
	return min(term, maxTerm)
}

// Acquire takes the lease, or says ErrHeld. If its holder seems to be dead it
// first watches the lease, for a little more than half its term, whether it is
// renewed after all. The context that it returns ends when ctx does, when the
// lease is given back, and with ErrLost as cause half a term after the last
// renewal, or as soon as another holds it. The function gives the lease back; it
// may be called again.
func (l *Lease) Acquire(ctx context.Context) (context.Context, func(), error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if !l.begin() {
		return nil, nil, fmt.Errorf("%w: this process holds the lease %s: wait until it ends", ErrHeld, l.name)
	}
	h, err := l.take(ctx)
	if err != nil {
		l.finish()
		return nil, nil, err
	}
	run := h.start(ctx)
	release := sync.OnceFunc(func() { h.stop(); l.finish() })
	if err := context.Cause(run); err != nil {
		release()
		return nil, nil, err
	}
	return run, release, nil
}

// Announce writes into the lease which backup this run makes, so that whoever
// takes the lease over should it die knows what may be removed. It is to be called
// before anything of the backup is stored.
func (l *Lease) Announce(ctx context.Context, backup string) error {
	l.mu.Lock()
	h := l.hold
	l.mu.Unlock()
	if h == nil {
		return fmt.Errorf("lease %s: it is not held", l.name)
	}
	return h.announce(ctx, backup)
}

// Left returns the backups that holders who died announced, and that nobody has
// said are cleaned up. Such a backup may be complete all the same. The ids are as
// read from the store: check them.
func (l *Lease) Left() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.left...)
}

// Cleaned says that nothing is left of these backups. The lease forgets them
// when it is next written.
func (l *Lease) Cleaned(backups ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = without(l.left, backups)
}

func (l *Lease) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return false
	}
	l.busy = true
	return true
}

func (l *Lease) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.hold = false, nil
}
