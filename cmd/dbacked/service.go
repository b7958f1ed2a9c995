package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/client"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// openService is the service as a store of backups, which can be read.
func openService(c *config.Config) (depot, error) {
	conn, err := newClient(c, "")
	if err != nil {
		return nil, err
	}
	return reading{conn.Reader(), conn}, nil
}

// reading is what the service keeps.
type reading struct {
	*client.Store
	client *client.Client
}

func (r reading) Close() error { return r.client.Close() }

// newClient speaks to the service, as an agent or, without an id, as a reader.
func newClient(c *config.Config, agentID string) (*client.Client, error) {
	s := c.Storage.Service
	conn, err := client.New(client.Options{
		URL: s.URL, Key: s.Key.Reveal(), AgentID: agentID, Version: version, DBType: c.Database.Type,
		Stall: min(c.Timeouts.Stall/2, connectionStall),
	})
	if err != nil {
		return nil, configError(c, "%v", err)
	}
	return conn, nil
}

// agentClient is a client that can ask for backups.
func agentClient(c *config.Config) (*client.Client, error) {
	id, err := agentID(c)
	if err != nil {
		return nil, err
	}
	return newClient(c, id)
}

// order is a backup that the service gave to this agent.
type order struct{ run *client.Run }

// Acquire is the lock that the service keeps: it was given with the backup.
func (o order) Acquire(ctx context.Context) (context.Context, func(), error) {
	lost := o.run.Context()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(lost, func() { cancel(context.Cause(lost)) })
	return ctx, func() { stop(); cancel(nil) }, nil
}

// Confirm says whether the lock is held at this moment.
func (o order) Confirm(ctx context.Context) error { return o.run.Confirm(ctx) }

// fulfil makes a backup that the service gave, and tells it how that ended.
func (a *app) fulfil(ctx context.Context, c *config.Config, conn *client.Client, run *client.Run, progress *pipeline.Progress, log *zap.Logger) (*catalog.Manifest, error) {
	m, err := a.fulfilled(ctx, c, conn, run, progress, log)
	why := err
	if errors.Is(why, context.Canceled) { // and not a stage that was stuck, which says so itself
		why = fmt.Errorf("the agent was stopped: %w", why)
	}
	if told := run.End(why); told != nil {
		log.Warn("the service could not be told that this backup failed: it will notice by itself", zap.Error(told))
	}
	return m, err
}

func (a *app) fulfilled(ctx context.Context, c *config.Config, conn *client.Client, run *client.Run, progress *pipeline.Progress, log *zap.Logger) (*catalog.Manifest, error) {
	project, err := conn.Project(ctx)
	if err != nil {
		return nil, at(pipeline.StagePrepare, err)
	}
	keys, err := sealFor(c, project, log)
	if err != nil {
		return nil, at(pipeline.StagePrepare, err)
	}
	own := *c
	own.Keys.PublicKeys = keys
	b, err := a.newRun(&own, log)
	if err != nil {
		return nil, at(pipeline.StagePrepare, err)
	}
	run.PublicKey = told(b.Recipients, keys, project.PublicKey)
	run.Report(func() api.Progress {
		s := progress.Snapshot()
		return api.Progress{Stage: s.Stage, PlainBytes: s.Plain, StoredBytes: s.Stored}
	})
	b.Store, b.Locker, b.Progress = conn.Store(run), order{run}, progress
	if run.Old() {
		oneFile(b, conn, run, log)
	}
	m, err := b.Run(ctx)
	if err == nil && run.Old() {
		m.ID = run.ID // as the service lists it: the manifest is nowhere
	}
	return m, err
}

func at(stage string, err error) error { return &pipeline.StageError{Stage: stage, Err: err} }

// sealFor returns the keys that a backup is sealed for: those that are configured
// here, whatever the project's is, or the project's, as it was first seen.
func sealFor(c *config.Config, project api.Project, log *zap.Logger) (keys string, err error) {
	if c.Keys.PublicKeys != "" {
		own, err := recipients(c)
		if err == nil && project.PublicKey != "" && !holds(own, project.PublicKey) {
			log.Warn("the project of the service has another public key than DBACKED_PUBLIC_KEY, which is used", zap.String("project_key", keyName(project.PublicKey)))
		}
		return c.Keys.PublicKeys, err
	}
	if strings.TrimSpace(project.PublicKey) == "" {
		return "", configError(c, "DBACKED_PUBLIC_KEY is missing, and the project of the service has no key either: set it here, or there")
	}
	pinned, err := catalog.PinnedKey(c.StateDirectory)
	switch {
	case err != nil:
		return "", err
	case pinned == "":
		log.Info("the project's public key is remembered: from now on another one is refused", zap.String("key", keyName(project.PublicKey)))
		return project.PublicKey, catalog.PinKey(c.StateDirectory, project.PublicKey)
	case keyName(pinned) != keyName(project.PublicKey):
		return "", &keyChangedError{instance: c.Instance, pinned: keyName(pinned), named: keyName(project.PublicKey)}
	}
	return pinned, nil
}

// keyChangedError says that the service names another key than it did.
type keyChangedError struct{ instance, pinned, named string }

func (e *keyChangedError) Error() string {
	return fmt.Sprintf("the project's public key has changed, so nothing is backed up for it: it was %s, and the service names %s; if that is meant: dbacked trust %s", e.pinned, e.named, e.instance)
}

// told is the key that the service is told of: the project's own, if the backup is
// sealed for that one too.
func told(own []*rsa.PublicKey, keys, project string) string {
	if project != "" && holds(own, project) {
		return project
	}
	return keys
}

// holds says whether a key, PEM, is among some.
func holds(keys []*rsa.PublicKey, pem string) bool {
	for _, key := range keys {
		if encryptor.Fingerprint(key) == keyName(pem) {
			return true
		}
	}
	return false
}

// keyName is a public key's fingerprint, as manifests name it.
func keyName(pem string) string {
	keys, err := encryptor.ParsePublicKeys([]byte(pem))
	if err != nil {
		return "no RSA key (" + err.Error() + ")"
	}
	return encryptor.Fingerprint(keys[0])
}

// backupNow asks the service for a backup, due or not, and makes it.
func (a *app) backupNow(ctx context.Context, c *config.Config, progress *pipeline.Progress, log *zap.Logger) (*catalog.Manifest, error) {
	conn, err := agentClient(c)
	if err != nil {
		return nil, at(pipeline.StagePrepare, err)
	}
	defer func() { _ = conn.Close() }()
	progress.Set(pipeline.Snapshot{Stage: pipeline.StageLock})
	run, err := conn.AskNow(ctx)
	if errors.Is(err, client.ErrNotDue) && conn.Old() {
		return nil, at(pipeline.StageLock, fmt.Errorf("%w: %s gives no backup now: none is due, and it takes no wishes, or another agent makes one", locker.ErrHeld, conn))
	}
	if errors.Is(err, client.ErrNotDue) {
		return nil, at(pipeline.StageLock, fmt.Errorf("%w: %s gives none now: another agent of the project makes one (if it died, its lease ends within minutes), or it gives only what is due", locker.ErrHeld, conn))
	}
	if err != nil {
		return nil, at(pipeline.StageLock, err)
	}
	return a.fulfil(ctx, c, conn, run, progress, log)
}

// ownStorage refuses what only makes sense for a storage of one's own.
func ownStorage(c *config.Config, what, instead string) error {
	if !c.Storage.IsService() {
		return nil
	}
	return &refusedError{fmt.Errorf("%s: the service %s keeps these backups, and %s", what, c.Storage, instead)}
}
