package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type backupDelete struct {
	dataFlags
	Project string   `arg:"" help:"The project."`
	IDs     []string `arg:"" name:"id" help:"The backups' ids, of backup list."`
	Yes     bool     `name:"yes" short:"y" help:"Do not ask."`
	Last    bool     `name:"last" help:"Also the last good backup of the project."`
	Now     bool     `name:"now" help:"Without grace: their files are removed by the service within minutes, for ever."`
	Why     string   `name:"why" default:"by hand" placeholder:"TEXT" help:"Why, for backup list and the audit log."`
	JSON    bool     `name:"json" help:"Print JSON, one object a backup."`
}

// Help says what happens.
func (*backupDelete) Help() string {
	return `What is deleted is in no listing any more and cannot be downloaded, and dbacked-server backup undelete takes that back, until the project's grace is over (project set --grace) and the service removes its files.

The last good backup is refused without --last, and one that is kept always: backup release comes first. The files of failed and lost backups go by themselves.

Examples:
  dbacked-server backup delete shop 20261122T215643Z-7f3c2a9d01
  dbacked-server backup delete shop 20261122T215643Z-7f3c2a9d01 --now --yes --why 'holds data of somebody who left'`
}

func (k *backupDelete) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := k.confirm(ctx, a, r, p); err != nil {
		return err
	}
	return eachBackup(a, k.JSON, k.IDs, func(id string) (records.Backup, error) {
		return a.as(r).DeleteBackup(ctx, p, id, k.Why, k.Last, k.Now)
	})
}

func (k *backupDelete) confirm(ctx context.Context, a *app, r *records.Store, p records.Project) error {
	if k.Yes {
		return nil
	}
	var all []string
	for _, id := range k.IDs {
		b, err := r.Backup(ctx, p.ID, id)
		if err != nil {
			if errors.Is(err, records.ErrNotFound) {
				err = &admin.NotFound{Kind: admin.KindBackup, Name: id}
			}
			return err
		}
		all = append(all, fmt.Sprintf("%s (%s, %s)", b.ID, admin.Standing(b), size(b.Size)))
	}
	when := "after " + time.Now().Add(p.Grace).UTC().Format(time.DateTime) + " UTC"
	if k.Now {
		when = "within minutes, for ever"
	}
	yes, err := a.confirm(fmt.Sprintf("Delete of project %s:\n  %s\nTheir files are removed %s. Go on?", p.Name, strings.Join(all, "\n  "), when))
	if err == nil && !yes {
		err = errors.New("nothing was deleted")
	}
	return err
}

// confirm asks on the terminal.
func (a *app) confirm(question string) (bool, error) {
	if !terminal(os.Stdin) || !terminal(a.err) {
		return false, errors.New("there is no terminal to ask on: add --yes")
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// eachBackup does something with backups, one by one, and prints what they are then.
func eachBackup(a *app, asJSON bool, ids []string, do func(id string) (records.Backup, error)) error {
	for _, id := range ids {
		b, err := do(id)
		if err != nil {
			return err
		}
		if err := a.print(asJSON, admin.ShowBackup(b), func(w io.Writer) { fmt.Fprintf(w, "%s\t%s\n", b.ID, admin.Standing(b)) }); err != nil {
			return err
		}
	}
	return nil
}

type backupUndelete struct {
	dataFlags
	Project string   `arg:"" help:"The project."`
	IDs     []string `arg:"" name:"id" help:"The backups' ids, of backup list."`
	JSON    bool     `name:"json" help:"Print JSON, one object a backup."`
}

// Help says what follows.
func (*backupUndelete) Help() string {
	return "The backup is there again as it was. It is kept from then on, since the rule that deleted it would do so again: dbacked-server backup release ends that."
}

func (k *backupUndelete) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return eachBackup(a, k.JSON, k.IDs, func(id string) (records.Backup, error) {
		return a.as(r).UndeleteBackup(ctx, p, id)
	})
}

type backupKeep struct {
	dataFlags
	Project string   `arg:"" help:"The project."`
	IDs     []string `arg:"" name:"id" help:"The backups' ids, of backup list."`
	JSON    bool     `name:"json" help:"Print JSON, one object a backup."`
}

func (k *backupKeep) Run(ctx context.Context, a *app) error { return k.set(ctx, a, true) }

func (k *backupKeep) set(ctx context.Context, a *app, kept bool) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return eachBackup(a, k.JSON, k.IDs, func(id string) (records.Backup, error) {
		return a.as(r).KeepBackup(ctx, p, id, kept)
	})
}

// backupRelease is the reverse of backupKeep.
type backupRelease struct{ backupKeep }

func (k *backupRelease) Run(ctx context.Context, a *app) error { return k.set(ctx, a, false) }
