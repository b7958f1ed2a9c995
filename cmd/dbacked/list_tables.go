package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// tables shows what a backup holds of each table. Their names are inside, so it
// needs the private key.
func (l *listCommand) tables(ctx context.Context, a *app, all *config.Config) error {
	var e catalog.Entry
	c, err := a.answering(ctx, all, func(one *config.Config) error {
		k, err := a.look(ctx, one, l.Backup, always)
		if err == nil {
			e, err = k.pick(l.Backup, one, "list")
		}
		return err
	})
	if err != nil {
		return err
	}
	if e.Manifest == nil {
		return e.Proof
	}
	if e, err = a.original(ctx, c, e); err != nil {
		return err
	}
	if e.Proof != nil { // nothing of it is run
		a.warn(e.Proof.Error())
	}
	files, err := a.openFiles(ctx, c, e)
	if err != nil {
		return err
	}
	defer files.close()
	tables, err := files.tables(ctx)
	if err != nil {
		return err
	}
	if l.JSON {
		return writeTablesJSON(a.out, tables)
	}
	return writeTables(a.out, tables)
}

// tables is what the backup holds of each table: as its list of tables says, or
// else as all of its dump shows.
func (f *backupFiles) tables(ctx context.Context) (tables []dumper.TableContent, err error) {
	m := f.manifest
	if fileOf(m, catalog.KindContents) != nil {
		c, err := f.contents(ctx)
		return c.Tables, err
	}
	read := dumper.ReadMySQLTables
	if m.Engine == "postgresql" {
		read = dumper.ReadTables
	}
	file, err := dumpOf(m)
	if err != nil {
		return nil, err
	}
	_, stored := totals(m)
	f.say("backup %s has no list of its tables: all of its dump is read and counted, %s", m.ID, size(stored))
	run := f.restore(*file)
	run.Progress = new(pipeline.Progress)
	run.Target = func(_ context.Context, r io.Reader) error {
		tables, err = read(r)
		return err
	}
	err = f.follow(ctx, run.Progress, func() error { return run.Run(ctx) })
	return tables, err
}

func writeTablesJSON(w io.Writer, tables []dumper.TableContent) error {
	enc := json.NewEncoder(w)
	for _, t := range tables {
		if err := enc.Encode(t); err != nil {
			return err
		}
	}
	return nil
}

func writeTables(w io.Writer, tables []dumper.TableContent) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TABLE\tROWS\tSIZE\tPART")
	for _, table := range tables {
		rows := "?" // of PostgreSQL's INSERT statements, or compressed
		if table.Rows >= 0 {
			rows = fmt.Sprint(table.Rows)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(table.Name()), rows, size(table.Bytes), table.Part)
	}
	return t.Flush()
}

// check refuses flags that contradict each other.
func (l *listCommand) check() error {
	if l.Backup != "" && !l.Tables {
		return &usageError{errors.New("of one backup, the tables can be listed: add --tables")}
	}
	return nil
}

// need is what must be configured.
func (l *listCommand) need() config.Need {
	if l.Tables {
		return config.NeedStorage | config.NeedPrivateKey
	}
	return config.NeedStorage
}
