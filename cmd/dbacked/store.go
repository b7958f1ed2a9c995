package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
	"github.com/dbacked/dbacked/pkg/storage/rclone"
	"github.com/dbacked/dbacked/pkg/storage/s3"
)

// connectionStall is the longest time without a byte on a connection to a bucket
// before it is given up and tried anew; half of the stall limit, if that is less.
const connectionStall = 30 * time.Second

// orphanAge is from when on what another machine left is removed.
const orphanAge = 7 * 24 * time.Hour

// leaseTerm is how long a lease outlives its last renewal; 0 is the locker's
// default. Nobody can set it but the tests, in their own binary: a test cannot
// wait minutes for each process that it kills.
var leaseTerm time.Duration

// depot is where the backups lie.
type depot interface {
	storage.Store
	Close() error
}

// openStore opens the storage. A folder must be there: a disk that is not
// mounted shall not be mistaken for an empty one.
func openStore(c *config.Config) (depot, error) {
	switch c.Storage.Scheme {
	case config.SchemeS3:
		return openBucket(c)
	case config.SchemeRclone:
		return openRemote(c)
	case config.SchemeService:
		return openService(c)
	}
	return localdir.Open(c.Storage.Path)
}

// makeStore is openStore for a backup, which may be the first: the folder that
// dbacked itself chose is made.
func makeStore(c *config.Config) (depot, error) {
	if c.Source("DBACKED_STORAGE") == "default" {
		if err := localdir.Make(c.Storage.Path); err != nil {
			return nil, err
		}
	}
	return openStore(c)
}

func openBucket(c *config.Config) (depot, error) {
	lendCredentials(c.Environ)
	o := c.Storage.S3
	store, err := s3.Open(s3.Options{
		Bucket: c.Storage.Bucket, Prefix: c.Storage.Prefix, Endpoint: o.Endpoint, Region: o.Region, PathStyle: o.PathStyle, CAFile: o.CA,
		AccessKey: o.AccessKey.Reveal(), SecretKey: o.SecretKey.Reveal(), SessionToken: o.SessionToken.Reveal(),
		SSE: o.SSE, StorageClass: o.StorageClass, Checksum: o.Checksum, MaxParts: o.MaxParts,
		Lock: s3.Lock{Mode: o.LockMode, For: o.LockFor}, OrphanAge: c.Storage.OrphanAge,
		Stall: min(c.Timeouts.Stall/2, connectionStall),
	})
	if err != nil {
		return nil, configError(c, "%v", err)
	}
	return store, nil
}

// openRemote opens what rclone reaches. Its calls end when nothing moves for half of
// the stall limit: a remote may have to join what it was sent.
func openRemote(c *config.Config) (depot, error) {
	store, err := rclone.Open(rclone.Options{
		Remote: c.Storage.Remote, Config: c.Storage.RcloneConfig, Environ: c.Environ,
		Stall: c.Timeouts.Stall / 2, OrphanAge: c.Storage.OrphanAge,
	})
	if err != nil {
		return nil, configError(c, "DBACKED_STORAGE: %v", err)
	}
	return store, nil
}

// lendCredentials lets Amazon's chain of credentials, which asks this process's
// environment, see what NAME.env sets for it.
func lendCredentials(environ config.Environ) {
	for _, assignment := range environ {
		name, value, _ := strings.Cut(assignment, "=")
		if _, set := os.LookupEnv(name); strings.HasPrefix(name, "AWS_") && !set {
			_ = os.Setenv(name, value) // only a name with a NUL fails
		}
	}
}

// lock lets one run of an instance work at a time: on this machine, and in a
// storage that other machines reach too, if that can hold a lock. The lease is nil
// for a folder, for what rclone reaches, and where the database holds the lock.
func lock(c *config.Config, store depot, log *zap.Logger) (locker.Locker, *locker.Lease) {
	if c.Lock == config.LockDatabase {
		return databaseLock(c, log), nil
	}
	mine := locker.NewFile(filepath.Join(c.StateDirectory, "run.lock"))
	shared, ok := store.(storage.Conditional)
	switch {
	case c.Storage.Scheme == config.SchemeFile:
		return locker.NewFile(filepath.Join(c.Storage.Path, c.Instance, "control", "lock")), nil
	case !ok:
		return mine, nil
	}
	lease := locker.NewLease(conditional{shared}, storage.ErrNotFound, catalog.Path(c.Instance, "control", "lease"), locker.LeaseOptions{
		Term: leaseTerm,
		Watching: func(holder string, wait time.Duration) {
			log.Info("the lease's holder seems to be dead; watching it before it is taken over", zap.String("holder", holder), zap.Duration("wait", wait))
		},
	})
	return locker.All(mine, lease), lease
}

// conditional is a store as the lease knows it.
type conditional struct{ storage.Conditional }

func (s conditional) Get(ctx context.Context, name string) ([]byte, locker.Version, error) {
	data, v, err := s.Conditional.Get(ctx, name)
	return data, locker.Version(v), err
}

func (s conditional) PutNew(ctx context.Context, name string, data []byte) (locker.Version, error) {
	v, err := s.Conditional.PutNew(ctx, name, data)
	return locker.Version(v), err
}

func (s conditional) Replace(ctx context.Context, name string, data []byte, tag string) (locker.Version, error) {
	v, err := s.Conditional.Replace(ctx, name, data, tag)
	return locker.Version(v), err
}
