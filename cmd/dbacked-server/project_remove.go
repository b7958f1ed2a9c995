package main

import (
	"context"
	"fmt"
	"time"
)

type projectRemove struct {
	dataFlags
	Name string `arg:"" help:"The project."`
}

// Help says what is refused.
func (*projectRemove) Help() string {
	return `A project with backups is not removed: they would be lost with it. It is when the files of all are: dbacked-server backup delete, with --last for the last one. Its keys can be revoked before.`
}

func (k *projectRemove) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	left, err := r.CountStored(ctx, p.ID)
	if err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("project %s has %d backups whose files are not removed for good: it is kept; revoke its keys to end it (dbacked-server key list %s)", p.Name, left, p.Name)
	}
	if err := r.DeleteProject(ctx, p.ID); err != nil {
		return err
	}
	return r.Audit(ctx, a.actor, "project-remove", p.ID, p.Name, time.Now())
}
