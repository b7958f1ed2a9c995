package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
)

type backupCommand struct {
	List     backupList     `cmd:"" help:"List a project's backups, also those that failed, and those that are no more."`
	Delete   backupDelete   `cmd:"" help:"Delete backups: nobody sees them any more, and their files are removed after the project's grace."`
	Undelete backupUndelete `cmd:"" help:"Take back that a backup was deleted, while its files are there, and keep it."`
	Keep     backupKeep     `cmd:"" help:"Keep backups, whatever the project's rules say."`
	Release  backupRelease  `cmd:"" help:"Keep backups no longer than the project's rules say."`
}

type backupList struct {
	dataFlags
	Project string `arg:"" help:"The project."`
	Limit   int    `name:"limit" default:"100" help:"List at most so many, the newest."`
	JSON    bool   `name:"json" help:"Print JSON, one object a backup."`
}

func (k *backupList) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Backups(ctx, p.ID, nil, k.Limit)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, admin.ShowBackup, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tSTATE\tSTARTED\tSIZE\tPROGRESS\tAGENT\tERROR")
		for _, b := range all {
			wrong := b.Error
			if b.Removal.Error != "" {
				wrong = "its files stay: " + b.Removal.Error
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.80q\n", b.ID, admin.Standing(b), b.Started.UTC().Format(time.DateTime), size(b.Size), progress(admin.ShowBackup(b).Progress), printable(b.AgentID), wrong)
		}
	})
}
