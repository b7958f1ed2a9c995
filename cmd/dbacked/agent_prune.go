package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

// agentPrune removes, after a proved backup, what the settings no longer keep;
// nil when they keep all.
func agentPrune(c *config.Config, log *zap.Logger) func(context.Context, agent.Backup) error {
	if !policy(c).HasRule() {
		return nil
	}
	return func(ctx context.Context, made agent.Backup) error {
		store, err := openStore(c)
		if err != nil {
			return inFirst(c, err)
		}
		defer func() { _ = store.Close() }()
		lock, _ := lock(c, store, log)
		ctx, release, err := lock.Acquire(ctx)
		if errors.Is(err, locker.ErrHeld) {
			return nil // the run that holds it prunes when it is done
		}
		if err != nil {
			return err
		}
		defer release()
		if len(c.Places) == 1 {
			return pruneOne(ctx, c, log)
		}
		var failed error
		for _, s := range c.Places {
			if !slices.Contains(made.Places, s.String()) {
				continue // never after a failure there
			}
			if err := pruneOne(ctx, among(c, s), log.With(zap.String("place", s.String()))); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", s, err))
			}
		}
		return failed
	}
}

// pruneOne removes what one place need no longer keep. The lock is held.
func pruneOne(ctx context.Context, c *config.Config, log *zap.Logger) error {
	store, err := openStore(c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	t, err := trust(c)
	if err != nil {
		return err
	}
	backups, err := catalog.Survey(ctx, store, c.Instance, t)
	if err != nil {
		return err
	}
	done, err := catalog.Prune(ctx, store, c.Instance, catalog.Plan(time.Now(), backups, policy(c)), false)
	for _, p := range done {
		log.Info("older backup: "+string(p.Result), zap.String("backup", p.ID), zap.Error(p.Err))
	}
	if errors.Is(err, storage.ErrForbidden) {
		err = fmt.Errorf("%w; run dbacked prune elsewhere, under its own credential, and take DBACKED_KEEP_… out here", err)
	}
	return err
}
