package main

import (
	"cmp"
	"context"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/pipeline"
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

// leftovers is what killed runs left in a storage. Where other machines may write
// to it too, a run that lives must not be taken for a dead one.
func leftovers(c *config.Config, store depot, lease *locker.Lease, log *zap.Logger) pipeline.Leftovers {
	l := pipeline.Leftovers{Store: store, Instance: c.Instance, Log: log}
	if lease != nil {
		l.Lease = lease
	}
	if lease != nil || c.Lock == config.LockDatabase || c.Storage.Scheme == config.SchemeRclone {
		l.OrphanAge = cmp.Or(c.Storage.OrphanAge, orphanAge)
	}
	return l
}
