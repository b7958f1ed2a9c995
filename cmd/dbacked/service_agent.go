package main

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/client"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
)

// polling asks the service, for an agent, whether a backup is due, and makes the one
// that it is given. Its methods are called one after the other.
type polling struct {
	app    *app
	config *config.Config
	log    *zap.Logger

	conn *client.Client
	run  *client.Run // given, and not begun yet
}

// Ask asks whether a backup is due; Backup makes that one.
func (p *polling) Ask(ctx context.Context) (bool, error) {
	defer release() // until the next question, which may be minutes away
	if p.conn == nil {
		conn, err := agentClient(p.config)
		if err != nil {
			return false, err
		}
		p.conn = conn
	}
	run, err := p.conn.Ask(ctx)
	if err == nil {
		p.run = run
		return true, nil
	}
	_ = p.conn.Close() // the next question is minutes away
	if errors.Is(err, client.ErrNotDue) {
		err = nil
	}
	return false, err
}

// Backup makes the backup that was given, or asks for one that was requested.
func (p *polling) Backup(ctx context.Context, _ string, progress *pipeline.Progress) (agent.Backup, error) {
	defer release()
	var m *catalog.Manifest
	var err error
	if run := p.run; run != nil {
		p.run = nil
		defer func() { _ = p.conn.Close() }()
		m, err = p.app.fulfil(ctx, p.config, p.conn, run, progress, p.log)
	} else {
		m, err = p.app.backupNow(ctx, p.config, progress, p.log)
	}
	if err != nil {
		return agent.Backup{}, sandboxed(p.config, err)
	}
	remember(p.config, m, p.log)
	return summary(m), nil
}

// remember keeps the id of the newest backup that was made here.
func remember(c *config.Config, m *catalog.Manifest, log *zap.Logger) {
	if err := rememberLast(c, m); err != nil {
		log.Warn("the id of this backup could not be remembered", zap.Error(err))
	}
}

// rememberLast is remember. The ids of an old service have no order: none is kept.
func rememberLast(c *config.Config, m *catalog.Manifest) error {
	if _, err := catalog.ParseID(m.ID); err != nil {
		return nil
	}
	return catalog.WriteLast(c.StateDirectory, m.ID)
}

// ofService is what the service holds, and when it finds a backup due.
func (s agentStore) ofService(ctx context.Context, n int) (h agent.History, err error) {
	conn, err := newClient(s.config, "")
	if err != nil {
		return h, err
	}
	defer func() { _ = conn.Close() }()
	project, err := conn.Project(ctx)
	if err != nil {
		return h, err
	}
	h.Schedule, h.Timezone = project.Schedule, project.Timezone
	if project.NextDue != nil {
		h.Due = *project.NextDue
	}
	if project.Old() {
		h.Backups = oldHistory(project, n)
		return h, nil
	}
	var store storage.Store = conn.Reader()
	if s.manifests != nil {
		store = s.manifests.over(store)
	}
	h.Backups, err = recentIn(ctx, store, s.config, n)
	return h, err
}
