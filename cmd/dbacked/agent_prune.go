package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

// agentPrune removes, after a proved backup, what the settings no longer keep;
// nil when they keep all.
func agentPrune(c *config.Config, log *zap.Logger) func(context.Context) error {
	if !policy(c).HasRule() {
		return nil
	}
	return func(ctx context.Context) error {
		store, err := openStore(c)
		if err != nil {
			return err
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
}
