package pipeline

import (
	"context"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/uploader"
)

// files makes the files of the backup, one dump after the other.
func (b *Backup) files(ctx context.Context, m *catalog.Manifest) error {
	up, err := uploader.New(b.Store, uploader.Options{
		Budget: b.UploadBudget, Parallel: b.UploadParallel, Rate: b.UploadRate, Backoff: b.Backoff,
		StallTimeout: b.StallTimeout, Progress: b.Progress.setStored,
	})
	if err != nil {
		return at(StageUpload, err)
	}
	for _, s := range b.Streams {
		if err := b.stream(ctx, up, m, s); err != nil {
			return err
		}
	}
	return nil
}

// stream makes the file of one dump, or its chain of files: three stages, joined
// by two pipes.
func (b *Backup) stream(ctx context.Context, up *uploader.Uploader, m *catalog.Manifest, s Stream) error {
	b.Progress.enter(StageDump)
	dumped, dump := io.Pipe()
	sealed, seal := io.Pipe()
	plain := &counter{w: dump, count: b.Progress.addPlain}
	head := len(m.Files)

	err := run(ctx,
		func(ctx context.Context) error {
			err := guard(StageDump, func() error { return s.Dump(ctx, plain) })
			dump.CloseWithError(err)
			return err
		},
		func(context.Context) error {
			err := guard(StageEncrypt, func() error { return b.seal(seal, dumped) })
			dumped.CloseWithError(err)
			seal.CloseWithError(err)
			return err
		},
		func(ctx context.Context) error {
			err := guard(StageUpload, func() error { return b.upload(ctx, up.Stream(), m, s.Kind, stageReader{sealed, StageUpload}) })
			sealed.CloseWithError(err)
			return err
		})
	if err != nil {
		return at(StageUpload, err)
	}
	m.Files[head].PlainBytes = plain.n
	return nil
}

// upload stores r in one file, or in as many as the store's limits ask for.
func (b *Backup) upload(ctx context.Context, up *uploader.Stream, m *catalog.Manifest, kind string, r io.Reader) error {
	for more, first := true, true; more; first = false {
		f, err := b.next(m, kind, !first)
		if err != nil {
			return err
		}
		result, err := up.Upload(ctx, catalog.Path(m.Instance, m.ID, f.Name), r)
		if err != nil {
			return err
		}
		f.StoredBytes, f.SHA256, more = result.Size, result.SHA256, result.More
	}
	return nil
}

// next adds a file to the manifest, before anything of it is stored: a run that
// fails removes what the manifest names.
func (b *Backup) next(m *catalog.Manifest, kind string, continues bool) (*catalog.File, error) {
	i := len(m.Files)
	if continues && b.Format == encryptor.Legacy {
		return nil, fmt.Errorf("the dump is larger than one file can be in %s, and in the legacy format it must be one: use the current format, or a larger upload budget", b.Store)
	}
	if i == catalog.MaxFiles {
		return nil, fmt.Errorf("the backup would have more than %d files, as %s limits each: allow more parts of a file, or a larger upload budget", catalog.MaxFiles, b.Store)
	}
	if continues {
		m.Version = catalog.LayoutChains
	}
	m.Files = append(m.Files, catalog.File{
		Name: fmt.Sprintf("%04d.dbacked", i), Kind: kind, Order: i, Format: b.Format.String(), Continues: continues,
	})
	return &m.Files[i], nil
}
