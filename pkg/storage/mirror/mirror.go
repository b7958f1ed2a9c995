// Package mirror keeps each object in several stores at once.
//
// [Store] is a [storage.Store] over the stores of several places. What is written
// goes to all of them at the same time, from one buffer: memory does not grow with
// their number, and the slowest sets the pace. A place that fails for good, or that
// keeps the others waiting for too long, is left out from then on, and what was
// being written there is aborted; a call fails only when no place is left. So a
// backup goes on without a place that breaks, and [Store.Places] tells afterwards
// which hold it and why the others do not.
//
// Of those who race for a name one wins, in every place: the first place decides,
// and only who won there goes on to the others.
//
// What is read comes from the first place that answers.
//
//	m := mirror.New([]mirror.Place{{Name: folder.String(), Store: folder}, {Name: bucket.String(), Store: bucket, Watches: true}}, mirror.Options{})
//	… store objects …
//	for _, p := range m.Places() {
//		fmt.Println(p.Name, p.Err)
//	}
package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Errors that say why a place was left out, beside the place's own.
var (
	// ErrBehind says that it kept the others waiting for longer than it may.
	ErrBehind = errors.New("it kept the other places waiting")
	// ErrStalled says that one call took longer than it may.
	ErrStalled = errors.New("it makes no progress")
	// ErrSize says that it holds another number of bytes than was written.
	ErrSize = errors.New("it does not hold what was sent")
)

const (
	defaultPatience = 30 * time.Second
	defaultStall    = 7*time.Minute + 30*time.Second

	// abortLimit bounds the removal of what was being written to a place.
	abortLimit = 30 * time.Second
	// grace is what a call has left to return after it was ended; one that hangs
	// in the kernel is then left behind.
	grace = 5 * time.Second
)

// Place is one store, and what is known of it.
type Place struct {
	Name  string
	Store storage.Store
	Err   error // why there is no Store: the place takes no part

	// Watches says that the store itself ends a call that makes no progress, with
	// an error. Then a call without an error is slow, and not stuck.
	Watches bool
}

// Options bounds the waits.
type Options struct {
	// Patience is how long a place may keep the others waiting with a part, once
	// it gave an error; one that does not watch itself, in any case. It must be
	// less than the source of the data bears. 0 means 30 s.
	Patience time.Duration
	// Stall is the longest that one call may take in a place, with all its tries.
	// It should be less than what bounds the caller's calls, or no place is ever
	// left out for it. 0 means 7.5 minutes.
	Stall time.Duration
	// Backoff says how often and when a part is tried again.
	Backoff storage.Backoff
}

// Store is several stores as one.
type Store struct {
	options Options
	places  []*place

	mu       sync.Mutex
	writers  map[*writer]bool // those that are neither committed nor aborted
	settling []chan struct{}  // each is closed when an abort in a place that was left out is over
}

// place is a Place and its fate.
type place struct {
	Place
	life    context.Context // ends when the place is left out
	end     context.CancelCauseFunc
	dropped error // the Store's mutex guards it
}

// Mirror is what New returns. It is a [storage.Limited] if one of its places is.
type Mirror interface {
	storage.Store
	storage.Mirrored
}

// New joins places; the order is that in which they are asked.
func New(places []Place, o Options) Mirror {
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	s := &Store{options: o, writers: map[*writer]bool{}}
	for _, p := range places {
		life, end := context.WithCancelCause(context.Background())
		one := &place{Place: p, life: life, end: end, dropped: p.Err}
		if p.Err != nil {
			one.Store = nil // nothing was written there, so nothing is to be taken back
			end(p.Err)
		}
		s.places = append(s.places, one)
	}
	if slices.ContainsFunc(places, func(p Place) bool { _, ok := p.Store.(storage.Limited); return ok }) {
		return &limited{s}
	}
	return s
}

// String names all places.
func (s *Store) String() string {
	names := make([]string, len(s.places))
	for i, p := range s.places {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// limited is a Store of which a place has limits.
type limited struct{ *Store }

// Limits are the strictest of all places, whether they still take part or not:
// what a writer was told must stay true.
func (s *limited) Limits() (all storage.Limits) {
	for _, p := range s.places {
		one, ok := p.Store.(storage.Limited)
		if !ok {
			continue
		}
		l := one.Limits()
		all.MaxParts = int(least(int64(all.MaxParts), int64(l.MaxParts)))
		all.MaxPart = least(all.MaxPart, l.MaxPart)
		all.MinPart = max(all.MinPart, l.MinPart)
	}
	return all
}

// least is the smaller of two limits, of which 0 is none.
func least(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Places returns all places as they are now.
func (s *Store) Places() []storage.Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]storage.Place, 0, len(s.places))
	for _, p := range s.places {
		all = append(all, storage.Place{Name: p.Name, Store: p.Store, Err: p.dropped})
	}
	return all
}

// Drop leaves a place out.
func (s *Store) Drop(name string, cause error) {
	for _, p := range s.places {
		if p.Name == name {
			s.drop(p, cause)
		}
	}
}

// drop leaves a place out, and aborts what was being written there meanwhile.
func (s *Store) drop(p *place, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.dropped != nil {
		return
	}
	p.dropped = cause
	p.end(cause)
	for w := range s.writers {
		if leg := w.legs[p]; leg != nil {
			delete(w.legs, p)
			s.abandon(p, leg)
		}
	}
}

// abandon begins to remove what was being written to a place that was left out.
// The Store's mutex is held.
func (s *Store) abandon(p *place, leg storage.Writer) {
	over := make(chan struct{})
	s.settling = append(s.settling, over)
	go func() {
		defer close(over)
		err := aborted(leg)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil && p.dropped != nil {
			p.dropped = fmt.Errorf("%w (and what was being written could not be removed: %v)", p.dropped, err)
		}
	}()
}

// aborted aborts, and does not wait for a store that hangs.
func aborted(leg storage.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), abortLimit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- leg.Abort(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", abortLimit)
	}
}

// Settle waits for what still goes on in places that were left out.
func (s *Store) Settle(ctx context.Context) {
	s.mu.Lock()
	settling := slices.Clone(s.settling)
	s.mu.Unlock()
	for _, over := range settling {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// live are the places that take part.
func (s *Store) live() (live []*place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		if p.dropped == nil {
			live = append(live, p)
		}
	}
	return live
}

// gone is the error of a store of which no place is left.
func (s *Store) gone() error {
	e := &goneError{}
	for _, p := range s.Places() {
		if p.Err == nil {
			continue // it is not asked
		}
		e.places = append(e.places, fmt.Errorf("%s: %w", p.Name, p.Err))
	}
	return e
}

// goneError is why no place is left. It can be asked what it is, but it is no
// [storage.TemporaryError], though one may be in it: trying again is of no use.
type goneError struct{ places []error }

func (e *goneError) Error() string {
	text := "no place is left"
	for _, err := range e.places {
		text += "; " + err.Error()
	}
	return text
}

// Is tells whether a place was left out for that.
func (e *goneError) Is(target error) bool {
	for _, err := range e.places {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
