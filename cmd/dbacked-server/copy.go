package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

type copyCommand struct {
	dataFlags
}

// Help says what else belongs to a backup.
func (*copyCommand) Help() string {
	return `The copy is whole, while the service runs, and goes to standard output. It is as secret as the original: it holds the key that addresses are signed with.

The files come after it: those that are newer than the database are then only superfluous, and none that it names is missing.

Examples:
  (umask 077; dbacked-server copy >/srv/copy/server.db)
  rsync -a --exclude '.tmp-*' /var/lib/dbacked-server/files /srv/copy/`
}

func (k *copyCommand) Run(ctx context.Context, a *app) (err error) {
	if terminal(a.out) {
		return errors.New("copy writes a database to standard output: dbacked-server copy >FILE")
	}
	if k.Database != "" {
		return errors.New("the database is a PostgreSQL: copy it by pg_dump, or by dbacked itself")
	}
	if err := settle(k.Data); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(k.Data, databaseName)); err != nil { // records makes what is not there
		return fmt.Errorf("copying the database: %w", err)
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	// Beside the database, whose disk is the one that has room for it.
	temp, err := os.CreateTemp(k.Data, ".copy-")
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	defer func() {
		err = errors.Join(err, temp.Close(), os.Remove(temp.Name()))
	}()
	if err := r.CopyTo(ctx, temp.Name()); err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	if _, err := io.Copy(a.out, temp); err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	return nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
