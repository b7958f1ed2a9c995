package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// dump is what a target takes of a backup.
type dump interface {
	// into restores it. prepare is called before the database is touched, once
	// the dump, or its first part, is known to be good.
	into(ctx context.Context, t *target, o dumper.RestoreOptions, prepare func(context.Context) error) error
	progress() *pipeline.Progress
	// holds is what came back, for people; "" where nothing tells.
	holds() string
}

// wholeDump is a dump in one stream.
type wholeDump struct{ run *pipeline.Restore }

func (d wholeDump) progress() *pipeline.Progress { return d.run.Progress }

func (d wholeDump) holds() string { return "" }

func (d wholeDump) into(ctx context.Context, t *target, o dumper.RestoreOptions, prepare func(context.Context) error) error {
	d.run.Whole = t.config.Database.Type == config.MySQL
	d.run.Target = func(ctx context.Context, r io.Reader) error {
		if err := prepare(ctx); err != nil {
			return err
		}
		return t.db.Restore(ctx, r, o)
	}
	return d.run.Run(ctx)
}

// splitDump is a dump that was made in parallel, in parts.
type splitDump struct {
	parts  dumper.Parts
	jobs   int
	stored int64            // bytes of all parts
	sizes  map[string]int64 // the same of each part with rows, by its name
	seen   *pipeline.Progress
}

// keptFiles is how many small files a restore keeps in memory at once, each of at
// most 32 MiB.
const keptFiles = 2

// split is the dump of a backup that was made in parallel. Of its files, only the
// list of tables is read.
func (f *backupFiles) split(ctx context.Context, jobs int) (*splitDump, error) {
	contents, err := f.contents(ctx)
	if err != nil {
		return nil, err
	}
	d := &splitDump{jobs: jobs, seen: new(pipeline.Progress), sizes: map[string]int64{}}
	d.parts.Contents = contents
	memory := pipeline.NewMemory(keptFiles)
	for _, file := range f.manifest.Files {
		if file.Continues || file.Kind != catalog.KindSchema && file.Kind != catalog.KindData {
			continue
		}
		stored := f.stored(file)
		d.stored += stored
		source := f.source(file, d.seen, memory)
		if file.Kind == catalog.KindSchema {
			d.parts.Schema = source
			continue
		}
		at := len(d.parts.Data)
		if at >= len(contents.Parts) {
			return nil, fmt.Errorf("backup %s has more files with data than its list of tables names, which are %d", f.manifest.ID, at)
		}
		d.sizes[contents.Parts[at]] = stored
		d.parts.Data = append(d.parts.Data, dumper.PartSource{Name: contents.Parts[at], Source: source, Check: f.source(file, nil, memory)})
	}
	return d, nil
}

// contents is which table is in which part.
func (f *backupFiles) contents(ctx context.Context) (c dumper.Contents, err error) {
	file := fileOf(f.manifest, catalog.KindContents)
	if file == nil {
		return c, fmt.Errorf("backup %s was made in parallel and has no list of its tables, without which nothing tells that all parts come back", f.manifest.ID)
	}
	run := f.restore(*file)
	run.Target = func(_ context.Context, r io.Reader) error {
		c, err = dumper.ReadContents(r)
		return err
	}
	return c, run.Run(ctx)
}

// source is a part as a restore reads it: compared with the manifest before
// anything of it is given away.
func (f *backupFiles) source(file catalog.File, progress *pipeline.Progress, memory *pipeline.Memory) dumper.Source {
	return func(ctx context.Context, use func(context.Context, io.Reader) error) error {
		run := f.restore(file)
		run.Progress, run.Memory, run.Target = progress, memory, use
		return run.Run(ctx)
	}
}

// partsDatabase is an engine whose dumps come in parts.
type partsDatabase interface {
	RestoreParts(ctx context.Context, parts dumper.Parts, jobs int, o dumper.RestoreOptions) error
}

func (d *splitDump) progress() *pipeline.Progress { return d.seen }

func (d *splitDump) into(ctx context.Context, t *target, o dumper.RestoreOptions, prepare func(context.Context) error) error {
	db, ok := t.db.(partsDatabase)
	if !ok {
		return &refusedError{errors.New("a backup that was made in parallel cannot be restored into such a database")}
	}
	d.seen.Share(d.stored)
	parts := d.parts
	parts.Schema = func(ctx context.Context, use func(context.Context, io.Reader) error) error {
		if err := d.parts.Schema(ctx, use); err != nil {
			return err
		}
		return prepare(ctx)
	}
	return db.RestoreParts(ctx, parts, d.jobs, o)
}

func (d *splitDump) holds() string {
	var rows int64
	for _, table := range d.parts.Contents.Tables {
		rows += max(0, table.Rows)
	}
	return fmt.Sprintf(", %d rows of %d tables, as many as were backed up", rows, len(d.parts.Contents.Tables))
}
