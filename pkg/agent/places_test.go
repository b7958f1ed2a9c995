package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
)

// two is a world of two places, "a" and "b", of which b may be broken.
type two struct {
	*world
	broken  bool // b takes no backup
	away    bool // and cannot even be read
	reasons []string
	pings   []string
	after   []string
}

func newTwo(t *testing.T) *two {
	w := &two{world: &world{places: []PlaceHistory{{Storage: "a"}, {Storage: "b"}}}}
	live(t, w.world, func(o *Options) {
		o.Storage, o.Backup = "a,b", w.make
		o.Ping = func(_ context.Context, what string) error { w.pings = append(w.pings, what); return nil }
		o.After = func(_ context.Context, made Backup) error {
			w.after = append(w.after, strings.Join(made.Places, " "))
			return nil
		}
	})
	return w
}

// make is what cmd does: of the places those that are behind, after a partial run.
func (w *two) make(_ context.Context, reason string, _ *pipeline.Progress) (Backup, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reasons = append(w.reasons, reason)
	now := time.Now()
	b := Backup{ID: now.Format("20060102T150405Z"), Started: now, Finished: now, PlainBytes: 1e9}
	for i := range w.places {
		p := &w.places[i]
		if i == 1 && w.away {
			p.Err = errors.New("unplugged")
		} else if i == 1 {
			p.Err = nil
		}
		due := now.Truncate(24 * time.Hour).Add(2 * time.Hour)
		fresh := len(p.Backups) > 0 && !p.Backups[0].Started.Before(due)
		if i == 1 && w.broken || reason != ReasonRequested && fresh {
			continue
		}
		p.Backups = append([]Backup{b}, p.Backups...)
		b.Places = append(b.Places, p.Storage)
	}
	if len(b.Places) == 0 {
		return Backup{}, &pipeline.StageError{Stage: "prepare", Err: errors.New("b: unplugged")}
	}
	w.stored = append([]Backup{b}, w.stored...)
	if w.broken {
		return b, &pipeline.PartialError{Manifest: &catalog.Manifest{ID: b.ID}, Proved: b.Places, Failed: []storage.Place{{Name: "b", Err: errors.New("unplugged")}}}
	}
	return b, nil
}

// TestPartial: a backup that is not in every place is told of like a failure, is
// tried again until the place that is behind has one, and counts where it is.
func TestPartial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTwo(t)
		w.set(func() { w.broken, w.away = true, true })
		time.Sleep(3 * time.Hour) // bubbles begin at midnight: past two o'clock
		synctest.Wait()
		s := w.agent.Status()
		if s.Healthy || s.State != StateRetrying || s.Partials != 1 || s.Successes != 1 || s.Failures["prepare"] < 3 {
			t.Errorf("%+v", s)
		}
		partial := s.Runs[len(s.Runs)-2]
		if !partial.Partial || partial.Backup == "" || len(partial.Places) != 2 || partial.Places[1].Error != "unplugged" {
			t.Errorf("%+v", partial)
		}
		if len(s.Places) != 2 || s.Places[0].Newest == nil || s.Places[1].Error != "unplugged" || s.Newest.ID != partial.Backup {
			t.Errorf("%+v", s.Places)
		}
		if len(w.places[0].Backups) != 2 {
			t.Errorf("the good place was given %d backups", len(w.places[0].Backups))
		}
		w.set(func() { w.broken, w.away = false, false })
		time.Sleep(time.Hour + 15*time.Minute)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy || s.State != StateIdle || s.Successes != 2 {
			t.Errorf("when it was back: %+v", s)
		}
		_ = w.end()
		wants(t, "events", strings.Join(w.events(), " "), "backup-partial", "backup-failed", "backup-proved")
		wants(t, "pings", strings.Join(w.pings, " "), "fail")
		if len(w.after) != 3 || w.after[0] != "a b" || w.after[1] != "a" || w.after[2] != "b" {
			t.Errorf("pruned in %q", w.after)
		}
	})
}

// TestDueIsWhatTheFurthestNeeds: an agent that starts and finds one place behind
// makes a backup at once; one that is away it does not take for up to date.
func TestDueIsWhatTheFurthestNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		b    []time.Duration // ages of its backups
		err  error
		runs int32
	}{
		"both are up to date": {b: []time.Duration{time.Hour}},
		"one is behind":       {b: []time.Duration{49 * time.Hour}, runs: 1},
		"one is empty":        {runs: 1},
		"one is away":         {b: []time.Duration{time.Hour}, err: errors.New("unplugged"), runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(4 * time.Hour)
				aged := func(ages ...time.Duration) (all []Backup) {
					for _, age := range ages {
						all = append(all, Backup{ID: age.String(), Started: time.Now().Add(-age)})
					}
					return all
				}
				w := &world{stored: aged(time.Hour), places: []PlaceHistory{{Storage: "a", Backups: aged(time.Hour)}, {Storage: "b", Backups: aged(c.b...), Err: c.err}}}
				var runs atomic.Int32
				live(t, w, func(o *Options) {
					o.Backup = func(context.Context, string, *pipeline.Progress) (Backup, error) {
						runs.Add(1)
						return Backup{}, errors.New("not now")
					}
				})
				if runs.Load() != c.runs {
					t.Errorf("%d runs, want %d", runs.Load(), c.runs)
				}
				if s := w.agent.Status(); s.Healthy != (c.runs == 0) {
					t.Errorf("%+v", s)
				}
				_ = w.end()
			})
		})
	}
}

// TestPlaceProblems: an idle agent says which place is behind or away.
func TestPlaceProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTwo(t)
		synctest.Wait()
		if s := w.agent.Status(); !s.Healthy || len(s.Places) != 2 {
			t.Fatalf("%+v", s)
		}
		w.agent.mu.Lock()
		defer func() { _ = w.end() }()
		defer w.agent.mu.Unlock()
		now := time.Now().Add(30 * time.Hour)
		state := &w.agent.state
		state.history = append([]Backup{{ID: "new", Started: now.Add(-time.Hour)}}, state.history...)
		state.places[0].Backups = state.history
		wants(t, "problem", state.problem(&w.agent.options, now), "the newest backup in b is of", "and one was due at")
		state.places[1].Err = errors.New("unplugged")
		wants(t, "problem", state.problem(&w.agent.options, now), "b cannot be read: unplugged")
	})
}
