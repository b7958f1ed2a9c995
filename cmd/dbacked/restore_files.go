package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
)

// maxGlobals bounds the globals file, which is read into memory.
const maxGlobals = 16 << 20

// backupFiles are the files of a backup that lies in a storage.
type backupFiles struct {
	*app
	store    depot
	manifest *catalog.Manifest
	key      *rsa.PrivateKey
	proved   bool
}

// openFiles opens them with the private key, which must be one of the backup's.
// The caller calls close.
func (a *app) openFiles(ctx context.Context, c *config.Config, e catalog.Entry) (*backupFiles, error) {
	key, err := a.privateKey(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := opens(key, e.Manifest); err != nil {
		return nil, err
	}
	store, err := openStore(c)
	if err != nil {
		return nil, err
	}
	return &backupFiles{app: a, store: store, manifest: e.Manifest, key: key, proved: e.Proof == nil}, nil
}

func (f *backupFiles) close() { _ = f.store.Close() } // only read

// stored is how many bytes a file has, with those in which it goes on.
func (f *backupFiles) stored(file catalog.File) (n int64) {
	for _, piece := range f.manifest.Chain(file) {
		n += piece.StoredBytes
	}
	return n
}

// restore is how a file, with those in which it goes on, is brought back.
func (f *backupFiles) restore(file catalog.File) *pipeline.Restore {
	return &pipeline.Restore{File: pipeline.SealedFile(f.store, f.manifest, file), Key: f.key, Proved: f.proved, Displaced: f.warnDisplaced}
}

// dump is what a target takes of the backup.
func (f *backupFiles) dump(ctx context.Context, jobs int) (dump, error) {
	if f.manifest.Version == catalog.LayoutSplit {
		return f.split(ctx, jobs)
	}
	file, err := dumpOf(f.manifest)
	if err != nil {
		return nil, err
	}
	run := f.restore(*file)
	run.Progress = new(pipeline.Progress)
	return wholeDump{run}, nil
}

// globals is what the backup says of roles; nil when it says nothing.
func (f *backupFiles) globals(ctx context.Context) ([]byte, error) {
	file := fileOf(f.manifest, catalog.KindGlobals)
	if file == nil {
		return nil, nil // a legacy backup has none
	}
	var buf bytes.Buffer
	run := f.restore(*file)
	run.Target = func(_ context.Context, r io.Reader) error {
		n, err := io.Copy(&buf, io.LimitReader(r, maxGlobals+1))
		if err == nil && n > maxGlobals {
			err = errors.New("the globals are larger than any real ones")
		}
		return err
	}
	if err := run.Run(ctx); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// dumpOf finds the file that holds all of the dump.
func dumpOf(m *catalog.Manifest) (*catalog.File, error) {
	if dump := fileOf(m, catalog.KindDump); dump != nil {
		return dump, nil
	}
	return nil, fmt.Errorf("backup %s has no dump, only %d other files", m.ID, len(m.Files))
}

// fileOf finds the file of a kind, or nil.
func fileOf(m *catalog.Manifest, kind string) *catalog.File {
	for i := range m.Files {
		if m.Files[i].Kind == kind {
			return &m.Files[i]
		}
	}
	return nil
}

// warnDisplaced says that an older version of a file is restored.
func (a *app) warnDisplaced(d *storage.Displaced) { a.warn(d.Error()) }
