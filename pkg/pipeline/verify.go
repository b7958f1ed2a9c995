package pipeline

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Verify reads backups back.
type Verify struct {
	Store storage.Store

	// Key opens the files. Without it only what is stored is compared with the
	// manifest: sizes and checksums.
	Key *rsa.PrivateKey

	Progress *Progress // may be nil
}

// Checked is what was found of one file.
type Checked struct {
	File   catalog.File
	Opened bool  // it was decrypted and decompressed, not only compared
	Err    error // nil if the file is what the manifest says
}

// Run checks every file of a backup, also after one that is damaged. Its error
// is about the run itself, not about a file.
func (v *Verify) Run(ctx context.Context, m *catalog.Manifest) ([]Checked, error) {
	var total int64
	for _, f := range m.Files {
		total += f.StoredBytes
	}
	v.Progress.restart(StageVerify, total)
	var all []Checked
	for _, f := range m.Files {
		err := v.file(ctx, m, f)
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		all = append(all, Checked{File: f, Opened: v.Key != nil, Err: err})
	}
	return all, nil
}

func (v *Verify) file(ctx context.Context, m *catalog.Manifest, f catalog.File) error {
	sealed := SealedFile(v.Store, m, f)
	r, err := sealed.Open(ctx, 0)
	if err != nil {
		return sealed.named(err)
	}
	defer r.Close()
	sum := sha256.New()
	stored := &counter{w: sum, count: v.Progress.addStored}
	in := io.TeeReader(&countingReader{ctx, r, func(int64) {}}, stored)
	var plain int64
	var opened error
	if v.Key != nil {
		plain, opened = Open(io.Discard, in, v.Key, v.Progress)
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // what a failed Open left unread
		return sealed.named(err)
	}
	if err := sealed.compare(stored.n, hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	if opened != nil {
		return sealed.named(opened)
	}
	if v.Key != nil && plain != f.PlainBytes {
		return sealed.named(fmt.Errorf("%w: it holds %d bytes of dump instead of %d", ErrDiffers, plain, f.PlainBytes))
	}
	return nil
}

// SealedFile is a file of a backup in a store.
func SealedFile(store storage.Store, m *catalog.Manifest, f catalog.File) Sealed {
	name := catalog.Path(m.Instance, m.ID, f.Name)
	return Sealed{
		Name: name,
		Open: func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return store.Open(ctx, name, offset)
		},
		SHA256:      f.SHA256,
		StoredBytes: f.StoredBytes,
		PlainBytes:  f.PlainBytes,
	}
}
