package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/scheduler"
	"github.com/dbacked/dbacked/pkg/storage"
)

// agentStore reads the backups of an instance. The store is opened each time,
// since it may be away when the agent starts, and another one later.
type agentStore struct {
	config    *config.Config
	manifests *manifests // of a service
}

// History returns the newest proved backups, and of several places what each holds.
func (s agentStore) History(ctx context.Context, n int) (agent.History, error) {
	defer release() // this is the last that an agent does before it waits
	if s.config.Storage.IsService() {
		return s.ofService(ctx, n)
	}
	if len(s.config.Places) == 1 {
		backups, err := s.recent(ctx, s.config, n)
		return agent.History{Backups: backups}, err
	}
	h := agent.History{Places: s.places(ctx, n)}
	var failed error
	for _, p := range h.Places {
		if p.Err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.Storage, p.Err))
		}
		h.Backups = merge(h.Backups, p)
	}
	slices.SortFunc(h.Backups, func(a, b agent.Backup) int { return strings.Compare(b.ID, a.ID) }) // as in each place
	h.Backups = h.Backups[:min(len(h.Backups), n)]
	if !slices.ContainsFunc(h.Places, func(p agent.PlaceHistory) bool { return p.Err == nil }) {
		return agent.History{}, failed
	}
	return h, nil
}

// merge adds what a place holds to what others do.
func merge(all []agent.Backup, p agent.PlaceHistory) []agent.Backup {
	for _, b := range p.Backups {
		i := slices.IndexFunc(all, func(other agent.Backup) bool { return other.ID == b.ID })
		if i < 0 {
			i, all = len(all), append(all, b)
		}
		all[i].Places = append(all[i].Places, p.Storage)
	}
	return all
}

// placeLimit is how long one of several places may take to say what it holds:
// less than all of them together may.
const placeLimit = 40 * time.Second

// places asks all places at once.
func (s agentStore) places(ctx context.Context, n int) []agent.PlaceHistory {
	answers := make([]chan agent.PlaceHistory, len(s.config.Places))
	ctx, cancel := context.WithTimeoutCause(ctx, placeLimit, fmt.Errorf("no answer within %s: is its file system, or its service, alive?", placeLimit))
	defer cancel()
	for i, place := range s.config.Places {
		answers[i] = make(chan agent.PlaceHistory, 1)
		go func() {
			backups, err := s.recent(ctx, among(s.config, place), n)
			answers[i] <- agent.PlaceHistory{Storage: place.String(), Backups: backups, Err: err}
		}()
	}
	var all []agent.PlaceHistory
	for i, place := range s.config.Places {
		select {
		case p := <-answers[i]:
			all = append(all, p)
		case <-ctx.Done():
			all = append(all, agent.PlaceHistory{Storage: place.String(), Err: context.Cause(ctx)})
		}
	}
	return all
}

// recent reads the storage at hand.
func (s agentStore) recent(ctx context.Context, c *config.Config, n int) ([]agent.Backup, error) {
	store, err := makeStore(c)
	if err != nil {
		return nil, sandboxed(c, err)
	}
	defer func() { _ = store.Close() }()
	return recentIn(ctx, store, c, n)
}

func recentIn(ctx context.Context, store storage.Store, c *config.Config, n int) ([]agent.Backup, error) {
	t, err := trust(c)
	if err != nil {
		return nil, err
	}
	recent, err := catalog.Recent(ctx, store, c.Instance, t, n)
	if err != nil {
		return nil, err
	}
	backups := make([]agent.Backup, 0, len(recent))
	for _, m := range recent {
		backups = append(backups, summary(m))
	}
	return backups, nil
}

// clockError is how far another host's clock may be ahead.
const clockError = 10 * time.Minute

// needing is the configuration with those of its places alone that a backup is due
// in: after a partial run, a new one need not go where the last one is. When it is
// due in none, that run was asked for, and those need one that lack its backup. All,
// when none does.
func (s agentStore) needing(ctx context.Context, schedule *scheduler.Schedule, now time.Time) *config.Config {
	if len(s.config.Places) == 1 {
		return s.config
	}
	newest := map[string]*agent.Backup{} // by place; nil if it has none, or does not say
	last := ""
	for _, p := range s.places(ctx, 3) {
		newest[p.Storage] = newestOf(p, now)
		if b := newest[p.Storage]; b != nil && b.ID > last {
			last = b.ID
		}
	}
	due := func(b *agent.Backup) bool { return b == nil || !schedule.Next(b.Started).After(now) }
	lacks := func(b *agent.Backup) bool { return b == nil || b.ID < last }
	for _, needs := range []func(*agent.Backup) bool{due, lacks} {
		c := *s.config
		c.Places = slices.DeleteFunc(slices.Clone(c.Places), func(p config.Storage) bool { return !needs(newest[p.String()]) })
		if len(c.Places) > 0 {
			return &c
		}
	}
	return s.config
}

// newestOf is the newest backup of a place that is not from the future.
func newestOf(p agent.PlaceHistory, now time.Time) *agent.Backup {
	i := slices.IndexFunc(p.Backups, func(b agent.Backup) bool { return !b.Started.After(now.Add(clockError)) })
	if i < 0 || p.Err != nil {
		return nil
	}
	return &p.Backups[i]
}

func summary(m *catalog.Manifest) agent.Backup {
	plain, stored := totals(m)
	return agent.Backup{
		ID: m.ID, Started: m.Started, Finished: m.Finished, Engine: m.Engine, ServerVersion: m.ServerVersion,
		ToolVersion: m.ToolVersion, Database: m.Database, PlainBytes: plain, StoredBytes: stored,
	}
}

// agentBackup makes one backup. All of it is wired anew for each run: what was
// away at the start of the agent may be there now.
func (a *app) agentBackup(whole *config.Config, schedule *scheduler.Schedule, log *zap.Logger) func(context.Context, string, *pipeline.Progress) (agent.Backup, error) {
	return func(ctx context.Context, reason string, progress *pipeline.Progress) (agent.Backup, error) {
		defer release() // until the next run, which may be a day away
		c := whole
		if reason != agent.ReasonRequested {
			c = agentStore{config: whole}.needing(ctx, schedule, time.Now())
		}
		run, closeStore, err := a.newBackup(c, log)
		if err != nil {
			return agent.Backup{}, sandboxed(c, &pipeline.StageError{Stage: pipeline.StagePrepare, Err: err})
		}
		defer closeStore()
		run.Progress = progress
		m, err := run.Run(ctx)
		if m == nil {
			if len(c.Places) < len(whole.Places) {
				err = fmt.Errorf("%w; the other places have their backup", err)
			}
			return agent.Backup{}, sandboxed(c, err)
		}
		remember(c, m, log)
		made := summary(m)
		if len(whole.Places) > 1 {
			made.Places = provedIn(c, err)
		}
		return made, sandboxed(c, err)
	}
}

// provedIn are the places that hold a backup.
func provedIn(c *config.Config, err error) (names []string) {
	if partial, ok := errors.AsType[*pipeline.PartialError](err); ok {
		return partial.Proved
	}
	for _, s := range c.Places {
		names = append(names, s.String())
	}
	return names
}

// sandboxed adds to an error that the unit's sandbox can cause what would let the
// service through.
func sandboxed(c *config.Config, err error) error {
	if !errors.Is(err, syscall.EROFS) && !errors.Is(err, fs.ErrPermission) || c.Environ.Value("INVOCATION_ID") == "" {
		return err
	}
	if fix := dropIn(c); fix != "" {
		return fmt.Errorf("%w; the service may write only below its state folder unless a drop-in says more: %s", err, fix)
	}
	return err
}

// stageLimit is how long a stage may show no progress before its run is ended:
// longer than any limit within the stage, which says better what is wrong.
func stageLimit(t config.Timeouts) func(stage string) time.Duration {
	return func(stage string) time.Duration {
		switch stage {
		case pipeline.StageDump:
			return t.Connect + t.Lock + t.Stall + time.Minute
		case pipeline.StagePrepare:
			return 4*t.Connect + 2*t.Lock + time.Minute // the tables are looked at, and locked
		}
		return t.Stall + time.Minute
	}
}
