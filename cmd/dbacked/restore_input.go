package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// fromInput restores one encrypted file from standard input. No manifest speaks
// for it, so nothing proves its origin.
func (r *restoreCommand) fromInput(ctx context.Context, a *app, c *config.Config) error {
	if !r.AcceptUnprovedOrigin {
		return fmt.Errorf("%w: a file on standard input has no signed manifest; --accept-unproved-origin restores it all the same", catalog.ErrUnproved)
	}
	key, err := a.privateKey(ctx, c)
	if err != nil {
		return err
	}
	run := &pipeline.Restore{Key: key, Progress: new(pipeline.Progress)}
	sealed, format, closeInput, err := inputFile(ctx, a.in, !r.RawOutput && c.Database.Type == config.MySQL)
	if err != nil {
		return err
	}
	defer func() { _ = closeInput() }() // only read
	run.File = sealed
	if format == encryptor.Legacy {
		a.warn("standard input: " + legacyText)
	}
	if r.RawOutput {
		return r.toOutput(ctx, a, run)
	}
	t := &target{app: a, config: c, options: r, db: openDatabase(c, a.logger())}
	return t.restore(ctx, wholeDump{run})
}

// inputFile makes what comes on standard input a file that can be read as often
// as its restore needs. A file on a disk already is one. What comes through a
// pipe is spooled, encrypted as it is, if it must be read twice: when the
// target cannot undo, and when the format does not authenticate what it holds.
func inputFile(ctx context.Context, in io.Reader, whole bool) (pipeline.Sealed, encryptor.Format, func() error, error) {
	const name = "standard input"
	nothing := func() error { return nil }
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			_, format, err := encryptor.ReadHeader(io.NewSectionReader(f, 0, info.Size()))
			return pipeline.FromFile(name, f), format, nothing, named(name, err)
		}
	}
	header, format, err := encryptor.ReadHeader(in)
	if err != nil {
		return pipeline.Sealed{}, 0, nil, named(name, err)
	}
	if !whole && format != encryptor.Legacy {
		return pipeline.Once(name, header, in), format, nothing, nil
	}
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp" // on a disk, which /tmp often is not
	}
	spooled, closeSpool, err := pipeline.Spool(ctx, name, dir, io.MultiReader(bytes.NewReader(header), in))
	return spooled, format, closeSpool, err
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// legacyText is said of every file of the former agent's.
const legacyText = "it has the former agent's format, which is not authenticated: damage shows only by luck"

// warnIfLegacy says which files of a backup nothing but the manifest speaks for.
func (a *app) warnIfLegacy(m *catalog.Manifest) {
	for _, f := range m.Files {
		if f.Format == encryptor.Legacy.String() {
			a.warn(fmt.Sprintf("%s of backup %s: %s", f.Name, m.ID, legacyText))
		}
	}
}

// opens says whether a key opens a backup, before anything is read.
func opens(key *rsa.PrivateKey, m *catalog.Manifest) error {
	own := encryptor.Fingerprint(&key.PublicKey)
	if slices.Contains(m.Recipients, own) {
		return nil
	}
	return fmt.Errorf("%w: backup %s was made for %v, and this is %s", encryptor.ErrWrongKey, m.ID, m.Recipients, own)
}

// copyTo is a target that writes to w.
func copyTo(w io.Writer) func(context.Context, io.Reader) error {
	return func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	}
}
