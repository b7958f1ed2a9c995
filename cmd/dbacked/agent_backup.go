package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// agentStore reads the backups of an instance. The store is opened each time,
// since it may be away when the agent starts, and another one later.
type agentStore struct{ config *config.Config }

// History returns the newest proved backups.
func (s agentStore) History(ctx context.Context, n int) ([]agent.Backup, error) {
	defer release() // this is the last that an agent does before it waits
	store, err := makeStore(s.config)
	if err != nil {
		return nil, sandboxed(s.config, err)
	}
	defer func() { _ = store.Close() }()
	t, err := trust(s.config)
	if err != nil {
		return nil, err
	}
	manifests, err := catalog.Recent(ctx, store, s.config.Instance, t, n)
	if err != nil {
		return nil, err
	}
	backups := make([]agent.Backup, 0, len(manifests))
	for _, m := range manifests {
		backups = append(backups, summary(m))
	}
	return backups, nil
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
func (a *app) agentBackup(c *config.Config, log *zap.Logger) func(context.Context, *pipeline.Progress) (agent.Backup, error) {
	return func(ctx context.Context, progress *pipeline.Progress) (agent.Backup, error) {
		defer release() // until the next run, which may be a day away
		run, closeStore, err := a.newBackup(c, log)
		if err != nil {
			return agent.Backup{}, sandboxed(c, &pipeline.StageError{Stage: pipeline.StagePrepare, Err: err})
		}
		defer closeStore()
		run.Progress = progress
		m, err := run.Run(ctx)
		if err != nil {
			return agent.Backup{}, sandboxed(c, err)
		}
		if err := catalog.WriteLast(c.StateDirectory, m.ID); err != nil {
			log.Warn("the id of this backup could not be remembered", zap.Error(err))
		}
		return summary(m), nil
	}
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
			return 4*t.Connect + time.Minute
		}
		return t.Stall + time.Minute
	}
}
