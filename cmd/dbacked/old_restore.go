package main

import (
	"context"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// sealed is the file of a backup, whose key is tried. Each reading of it is of the same
// bytes, or fails.
func (o *oldService) sealed(ctx context.Context, b api.Backup, key *rsa.PrivateKey) (pipeline.Sealed, encryptor.Format, error) {
	file := pipeline.Sealed{Name: "backup " + printable(b.ID), Open: o.conn.Download(b).Open, StoredBytes: b.Size}
	in, err := file.Open(ctx, 0)
	if err != nil {
		return file, 0, err
	}
	defer in.Close()
	opened, err := encryptor.NewReader(in, key)
	if err != nil {
		return file, 0, named(file.Name, err)
	}
	return file, opened.Format(), opened.Close()
}

// restore is fromStore for an old service.
func (o *oldService) restore(ctx context.Context, a *app, r *restoreCommand) error {
	b, err := o.choose(ctx, a, r)
	if err != nil {
		return err
	}
	if !r.AcceptUnprovedOrigin {
		return fmt.Errorf("backup %s: %w; --accept-unproved-origin restores it all the same", printable(b.ID), errNoManifest)
	}
	a.warn(errNoManifest.Error() + "; going on, as --accept-unproved-origin says")
	if known := b.DBType == config.Postgres || b.DBType == config.MySQL; known && !r.RawOutput && b.DBType != o.config.Database.Type {
		return &refusedError{fmt.Errorf("backup %s is of the type %s, and the target is %s: choose another target, or another backup", printable(b.ID), b.DBType, o.config.Database.Type)}
	}
	key, err := a.privateKey(ctx, o.config)
	if err != nil {
		return err
	}
	file, format, err := o.sealed(ctx, b, key)
	if err != nil {
		return err
	}
	if format == encryptor.Legacy {
		a.warn(file.Name + ": " + legacyText)
	}
	run := &pipeline.Restore{File: file, Key: key, Progress: new(pipeline.Progress)}
	if r.RawOutput {
		return r.toOutput(ctx, a, run)
	}
	t := &target{app: a, config: o.config, options: r, db: openDatabase(o.config, a.logger())}
	t.source = []string{
		fmt.Sprintf("backup    %s, of the type %s; its origin is not proved", printable(b.ID), printable(b.DBType)),
		fmt.Sprintf("finished  %s, %s", b.FinishedAt.Local().Format(time.DateTime), age(b.FinishedAt)),
		fmt.Sprintf("size      %s stored", size(b.Size)),
	}
	return t.restore(ctx, wholeDump{run})
}

// choose finds the backup to restore.
func (o *oldService) choose(ctx context.Context, a *app, r *restoreCommand) (api.Backup, error) {
	if r.Backup != "" || r.LastBackup || r.Yes || !a.asks || len(o.project.Backups) < 2 {
		return o.pick(r.Backup)
	}
	var labels []string
	for _, b := range o.project.Backups {
		labels = append(labels, fmt.Sprintf("%s  %-16s %9s  %s  (origin not proved)",
			b.FinishedAt.Local().Format("Mon 2006-01-02 15:04"), age(b.FinishedAt), size(b.Size), printable(b.DBType)))
	}
	i, err := a.pickOne(ctx, labels)
	if err != nil {
		return api.Backup{}, err
	}
	return o.project.Backups[i], nil
}
