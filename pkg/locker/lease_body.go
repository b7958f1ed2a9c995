package locker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	// maxLeft bounds how many backups of dead holders a lease remembers. What it
	// forgets is removed when it is old enough.
	maxLeft = 20
	// maxText bounds what is shown of what others wrote, in bytes.
	maxText = 200
)

// body is what the object of a lease holds.
type body struct {
	Owner   string        `json:"owner"`
	Session string        `json:"session"`        // of the Lease that wrote it
	Counter uint64        `json:"counter"`        // of writes, by whomever
	Nonce   string        `json:"nonce"`          // makes each state differ: a tag is often a hash of it
	Term    time.Duration `json:"term"`           // in nanoseconds
	Since   time.Time     `json:"since,omitzero"` // by the store's clock; in the first state that is when it was written
	Backup  string        `json:"backup,omitempty"`
	Left    []string      `json:"left,omitempty"` // backups of dead holders that may have to be removed
	Free    bool          `json:"free,omitempty"`
}

// state is what was read of a lease.
type state struct {
	body
	Version
	absent bool
	text   []byte
}

// who says who holds a lease, and since when.
func (s state) who() string {
	who := printable(cmp.Or(s.Owner, "somebody unknown"))
	if t := cmp.Or(s.Since, s.Modified); !t.IsZero() {
		who += ", since " + t.Local().Format(time.DateTime)
	}
	return who
}

// printable is a text of somebody else's, fit for a message.
func printable(s string) string {
	if len(s) <= maxText && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("%.*q", maxText, s)
}

// short is a duration for people.
func short(d time.Duration) time.Duration { return d.Round(time.Second) }

// takenError says that the object changed, and so that what was to be written
// cannot come into it any more.
type takenError struct{ state state }

func (e *takenError) Error() string {
	if e.state.absent {
		return "somebody removed it"
	}
	if e.state.Free {
		return "somebody took it and gave it back"
	}
	return "taken by " + e.state.who()
}

// next is the body that follows one.
func (l *Lease) next(before body, backup string) body {
	return body{
		Owner: l.owner, Session: l.session, Counter: before.Counter + 1, Nonce: rand.Text(), Term: l.term,
		Since: before.Since, Backup: backup, Left: l.Left(),
	}
}

// step bounds one call of the store: a write and the question whether it was done
// find room between the time of a renewal and the end.
func (l *Lease) step() time.Duration { return l.term / 15 }

// patience bounds the reading of a lease that this one does not hold. A connection
// may stall for longer than a step, so it asks again.
func (l *Lease) patience() time.Duration { return l.term / 2 }

// pause is how long to wait before the store is asked again.
func (l *Lease) pause() time.Duration { return l.term / 60 }

// silentError says that the store does not answer.
type silentError struct{ limit time.Duration }

func (e *silentError) Error() string { return fmt.Sprintf("no answer within %s", e.limit) }

// lookLong is look for a lease that is not held: nothing hurries.
func (l *Lease) lookLong(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.patience(), &silentError{l.patience()})
	defer cancel()
	for {
		s, err := l.look(ctx)
		var silent *silentError
		if !errors.As(err, &silent) || sleep(ctx, l.pause()) != nil {
			return s, err
		}
	}
}

// look reads the lease. One that is no lease has no owner, and ends like one.
func (l *Lease) look(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.step(), &silentError{l.step()})
	defer cancel()
	text, v, err := l.store.Get(ctx, l.name)
	if errors.Is(err, l.notFound) {
		return state{absent: true}, nil
	}
	if err != nil {
		return state{}, told(ctx, err)
	}
	s := state{Version: v, text: text}
	if json.Unmarshal(text, &s.body) != nil {
		s.body = body{}
	}
	return s, nil
}

// unsureError says that a write may have been done, and may be done yet.
type unsureError struct{ err error }

func (e *unsureError) Error() string { return e.err.Error() }

func (e *unsureError) Unwrap() error { return e.err }

// put writes a body in place of the state with that tag; "" means that there was
// none. A store's error does not say that nothing was written: the answer may be
// lost, and what the store tried again then found its own. So the object is read.
func (l *Lease) put(ctx context.Context, b body, tag string) (Version, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return Version{}, err
	}
	v, err := l.write(ctx, text, tag)
	if err == nil {
		return v, nil
	}
	s, readErr := l.look(ctx)
	switch {
	case readErr != nil:
		return Version{}, &unsureError{err}
	case bytes.Equal(s.text, text):
		return s.Version, nil
	case s.Tag != tag:
		return Version{}, &takenError{s}
	}
	return Version{}, err
}

// settle puts a body until it is known whether it was written.
func (l *Lease) settle(ctx context.Context, b body, tag string) (Version, error) {
	for {
		v, err := l.put(ctx, b, tag)
		var unsure *unsureError
		if !errors.As(err, &unsure) || sleep(ctx, l.pause()) != nil {
			return v, err
		}
	}
}

func (l *Lease) write(ctx context.Context, text []byte, tag string) (v Version, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.step(), &silentError{l.step()})
	defer cancel()
	if tag == "" {
		v, err = l.store.PutNew(ctx, l.name, text)
	} else {
		v, err = l.store.Replace(ctx, l.name, text, tag)
	}
	return v, told(ctx, err)
}

// giveBack writes that the lease is free, if it is still this one's. Nothing is
// said of an error: the lease then ends by itself. It goes on when ctx has ended.
func (l *Lease) giveBack(ctx context.Context, b body, tag string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(releaseLimit, l.term/3))
	defer cancel()
	for range attempts {
		free := l.next(b, "")
		free.Free = true
		_, err := l.settle(ctx, free, tag)
		var other *takenError
		if !errors.As(err, &other) || other.state.Session != l.session || other.state.Free {
			return
		}
		b, tag = other.state.body, other.state.Tag // a write of ours whose answer was lost
	}
}

// told is an error of a call that its own limit may have ended.
func told(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}

func without(all, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(drop, s) })
}

// sleep waits, or says why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
