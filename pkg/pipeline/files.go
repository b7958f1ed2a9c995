package pipeline

import (
	"context"
	"fmt"
	"io"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/uploader"
)

// files makes the files of the backup. Whether it fails or not, m then names all
// that were begun.
func (b *Backup) files(ctx context.Context, m *catalog.Manifest) error {
	plan, err := b.plan(ctx, m)
	if err != nil {
		return at(StagePrepare, err)
	}
	files := newBook(len(plan.Streams) + len(plan.Last))
	err = b.planned(ctx, m, plan, files)
	m.Files = files.inOrder()
	m.Version = m.Layout()
	files.sayLeft(b.Log, err)
	closeErr := plan.end()
	switch {
	case closeErr == nil:
	case err == nil:
		err = closeErr
	case ctx.Err() == nil: // else what ended the streams ended what they shared
		b.Log.Warn("after the failure, the end of the dump failed as well", zap.Error(closeErr))
	}
	return err
}

// planned makes the files of a plan.
func (b *Backup) planned(ctx context.Context, m *catalog.Manifest, plan Plan, files *book) error {
	if err := b.check(plan); err != nil {
		return at(StagePrepare, err)
	}
	up, err := uploader.New(b.Store, uploader.Options{
		Budget: b.UploadBudget, Parallel: b.UploadParallel, Rate: b.UploadRate, Backoff: b.Backoff,
		StallTimeout: b.StallTimeout, Progress: b.Progress.setStored, Streams: plan.jobs(),
	})
	if err != nil {
		return at(StageUpload, err)
	}
	compression := b.Compression
	compression.Alone = plan.jobs() == 1
	begin := func(first int, streams []Stream) func(context.Context, context.CancelCauseFunc, int) error {
		return func(ctx context.Context, fail context.CancelCauseFunc, i int) error {
			in := chapter{files, first + i, catalog.Path(m.Instance, m.ID, "")}
			return b.stream(ctx, fail, in, up.Stream(), compression, streams[i])
		}
	}
	if err := inTurn(ctx, plan.queues(), begin(0, plan.Streams)); err != nil {
		return err
	}
	last := Plan{Streams: plan.Last}
	return inTurn(ctx, last.queues(), begin(len(plan.Streams), plan.Last))
}

// stream makes the file of one dump, or its chain of files: three stages, joined
// by two pipes. The first that fails calls fail.
func (b *Backup) stream(ctx context.Context, fail context.CancelCauseFunc, files chapter, up *uploader.Stream, compression compress.Spec, s Stream) error {
	b.Progress.enter(StageDump)
	dumped, dump := io.Pipe()
	sealed, seal := io.Pipe()
	plain := &counter{w: dump, count: b.Progress.addPlain}

	ctx, end := context.WithCancel(ctx)
	defer end()
	err := runUnder(ctx, fail,
		func(ctx context.Context) error {
			err := guard(StageDump, func() error { return s.Dump(ctx, plain) })
			dump.CloseWithError(err)
			return err
		},
		func(context.Context) error {
			err := guard(StageEncrypt, func() error { return b.seal(seal, dumped, compression) })
			dumped.CloseWithError(err)
			seal.CloseWithError(err)
			return err
		},
		func(ctx context.Context) error {
			err := guard(StageUpload, func() error { return b.upload(ctx, files, up, s.Kind, stageReader{sealed, StageUpload}) })
			sealed.CloseWithError(err)
			return err
		})
	if err != nil {
		return at(StageUpload, err)
	}
	files.head().PlainBytes = plain.n
	return nil
}

// upload stores r in one file, or in as many as the store's limits ask for.
func (b *Backup) upload(ctx context.Context, files chapter, up *uploader.Stream, kind string, r io.Reader) error {
	for more, first := true, true; more; first = false {
		f, err := b.next(files, kind, !first)
		if err != nil {
			return err
		}
		name := files.folder + "/" + f.Name
		result, err := up.Upload(ctx, name, r)
		if err != nil {
			files.failed(name, err)
			return err
		}
		f.StoredBytes, f.SHA256, more = result.Size, result.SHA256, result.More
	}
	return nil
}

// next begins a file in the book, before anything of it is stored: a run that
// fails removes what is there.
func (b *Backup) next(files chapter, kind string, continues bool) (*catalog.File, error) {
	if continues && b.Format == encryptor.Legacy {
		return nil, fmt.Errorf("the dump is larger than one file can be in %s, and in the legacy format it must be one: use the current format, or a larger upload budget", b.Store)
	}
	f, ok := files.begin(catalog.File{Kind: kind, Format: b.Format.String(), Continues: continues})
	if !ok {
		return nil, fmt.Errorf("the backup would have more than %d files, as %s limits each: allow more parts of a file, or a larger upload budget", catalog.MaxFiles, b.Store)
	}
	return f, nil
}
