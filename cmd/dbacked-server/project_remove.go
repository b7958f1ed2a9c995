package main

import "context"

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
	return a.as(r).RemoveProject(ctx, p)
}
