package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/mirror"
)

// openLimit bounds the opening of one of several places: a file system that
// hangs must not keep the others from their backup.
const openLimit = 30 * time.Second

// mysqlPatience is how long one of several places may keep a dump of MariaDB
// waiting: its server gives up on a reader after a minute.
const mysqlPatience = 30 * time.Second

// fromFlags choose one of several places.
type fromFlags struct {
	From string `name:"from" placeholder:"PLACE" help:"Of several places, only this one: its URL, how that begins (such as s3), or its number, from 1."`
}

// patience is how long a place in trouble may keep the others waiting.
func patience(c *config.Config) time.Duration {
	limit := c.Timeouts.Stall / 2
	if c.Database.Type == config.MySQL {
		limit = min(limit, mysqlPatience)
	}
	return limit
}

// among is the configuration of one of several places, which sees in good time
// itself that a connection stalls.
func among(c *config.Config, place config.Storage) *config.Config {
	one := c.At(place)
	if len(c.Places) > 1 {
		one.Timeouts.Stall = min(one.Timeouts.Stall, patience(c))
	}
	return one
}

// several tells whether a run goes to more than the one place that the lock is
// of, or to others.
func several(c *config.Config) bool {
	return len(c.Places) != 1 || c.Places[0].String() != c.Storage.String()
}

// spread joins the places of a run; first is open already. One that cannot be
// opened is left out of the run. The function lets go of all but the first.
func spread(c *config.Config, first depot) (mirror.Mirror, func()) {
	var places []mirror.Place
	var opened []depot
	for _, s := range c.Places {
		p := mirror.Place{Name: s.String(), Store: first, Watches: s.Scheme != config.SchemeFile}
		if p.Name != c.Storage.String() {
			store, err := openWithin(among(c, s), openLimit)
			if err == nil {
				opened = append(opened, store)
				err = sameFolder(c, s)
			}
			p.Store, p.Err = store, err
		}
		places = append(places, p)
	}
	o := mirror.Options{Patience: patience(c), Stall: c.Timeouts.Stall / 4 * 3}
	return mirror.New(places, o), func() {
		for _, store := range opened {
			_ = store.Close()
		}
	}
}

// openWithin is openStore, which a file system that hangs does not hold up.
func openWithin(c *config.Config, limit time.Duration) (depot, error) {
	type opened struct {
		store depot
		err   error
	}
	done := make(chan opened, 1)
	go func() {
		store, err := openStore(c)
		done <- opened{store, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.store, o.err
	case <-timer.C:
		return nil, fmt.Errorf("no answer within %s: is its file system alive?", limit)
	}
}

// sameFolder finds out that a folder is another place's too, by another name:
// what would be taken back in one would be gone in the other.
func sameFolder(c *config.Config, s config.Storage) error {
	info, err := os.Stat(s.Path)
	if s.Scheme != config.SchemeFile || err != nil {
		return nil
	}
	for _, other := range append(config.Places{c.Storage}, c.Places...) {
		if other.Scheme != config.SchemeFile || other.String() == s.String() {
			continue
		}
		if its, err := os.Stat(other.Path); err == nil && os.SameFile(info, its) {
			return fmt.Errorf("it is the same folder as %s: correct DBACKED_STORAGE", other)
		}
	}
	return nil
}

// placeResult is how a backup ended in one of several places.
type placeResult struct {
	Storage string `json:"storage"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
}

// placeResults are those of a run, nil if it had one place.
func placeResults(c *config.Config, err error) (all []placeResult) {
	partial, _ := errors.AsType[*pipeline.PartialError](err)
	if len(c.Places) < 2 || err != nil && partial == nil {
		return nil
	}
	for _, s := range c.Places {
		r := placeResult{Storage: s.String(), OK: true}
		if partial != nil {
			if i := slices.IndexFunc(partial.Failed, func(p storage.Place) bool { return p.Name == r.Storage }); i >= 0 {
				r.OK, r.Error = false, partial.Failed[i].Err.Error()
			}
		}
		all = append(all, r)
	}
	return all
}

// answering returns the configuration of the first place that f finds something
// in, and what f said of the others before it. The error is that of the first
// place that answers, or of the first of all.
func (a *app) answering(ctx context.Context, c *config.Config, f func(*config.Config) error) (*config.Config, error) {
	if len(c.Places) == 1 {
		return c, f(c)
	}
	var first, answered error
	for _, s := range c.Places {
		one := c.At(s)
		err := f(one)
		if err == nil {
			return one, nil
		}
		if ctx.Err() != nil {
			return one, err
		}
		if errors.Is(err, catalog.ErrNoBackup) {
			a.say("not in %s: %v", s, err)
			answered = errors.Join(answered, err)
			continue
		}
		var usage *usageError
		if errors.As(err, &usage) {
			return one, err
		}
		a.warn(fmt.Sprintf("%s does not answer: %v", s, err))
		first = errors.Join(first, fmt.Errorf("%s: %w", s, err))
	}
	if first != nil { // what is missing may be where nobody answers
		return c, errors.Join(first, answered)
	}
	return c, answered
}

// inEach calls f for each place, and joins what is wrong in them.
func (a *app) inEach(ctx context.Context, c *config.Config, f func(one *config.Config) error) error {
	if len(c.Places) == 1 {
		return f(c)
	}
	var all error
	for _, s := range c.Places {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a.say("%s:", s)
		if err := f(c.At(s)); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", s, err))
		}
	}
	return all
}

// placeName is what a program is told of where something is: nothing, where there
// is one place.
func placeName(c, one *config.Config) string {
	if len(c.Places) == 1 {
		return ""
	}
	return one.Storage.String()
}

// lockFor takes the lock of an instance, which is in its first place unless the
// database keeps it. The lease is nil where there is none.
func (a *app) lockFor(ctx context.Context, c *config.Config) (context.Context, func(), *locker.Lease, error) {
	store, err := openStore(c)
	if err != nil {
		return nil, nil, nil, err
	}
	lock, lease := lock(c, store, a.logger())
	ctx, release, err := lock.Acquire(ctx)
	if err != nil {
		_ = store.Close()
		return nil, nil, nil, err
	}
	return ctx, func() { release(); _ = store.Close() }, lease, nil
}

// leaseIn is the lease of the first place, in that place; in another one it says
// nothing of what is there.
func leaseIn(c, one *config.Config, lease *locker.Lease) *locker.Lease {
	if one.Storage.String() != c.Storage.String() {
		return nil
	}
	return lease
}
