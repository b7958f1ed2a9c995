package main

import (
	"context"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
)

// databaseLock lets one run of an instance work at a time: on this machine, and
// wherever else the same server is backed up.
func databaseLock(c *config.Config, log *zap.Logger) locker.Locker {
	return locker.All(locker.NewFile(filepath.Join(c.StateDirectory, "run.lock")), serverLock(c, log))
}

// serverLock is the lock that the database's server keeps.
func serverLock(c *config.Config, log *zap.Logger) *locker.Database {
	db := openDatabase(c, log)
	open := func(ctx context.Context) (locker.Session, error) { return db.Session(ctx) }
	if c.Database.Type == config.MySQL {
		return locker.NewMySQL(c.Instance, open)
	}
	return locker.NewPostgres(c.Instance, open)
}
