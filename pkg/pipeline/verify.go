package pipeline

import (
	"context"
	"crypto/rsa"
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
	for len(all) < len(m.Files) {
		checked := v.chain(ctx, m, m.Chain(m.Files[len(all)]))
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		all = append(all, checked...)
	}
	return all, nil
}

// chain checks a file and those in which it goes on: each by itself, and what
// they hold together. An error of that is told of the first.
func (v *Verify) chain(ctx context.Context, m *catalog.Manifest, files []catalog.File) []Checked {
	var checked []Checked
	damaged := false
	sealed := SealedFile(v.Store, m, files[0])
	in := sealed.read(ctx, 0, v.Progress.addStored)
	defer in.close()
	in.judge = func(err error) error {
		checked = append(checked, Checked{File: files[len(checked)], Opened: v.Key != nil, Err: err})
		damaged = damaged || err != nil
		return nil // the others are looked at all the same
	}
	var opened error
	if v.Key != nil {
		var plain int64
		if plain, opened = Open(io.Discard, in, v.Key, v.Progress); opened == nil {
			opened = sealed.comparePlain(plain)
		}
	}
	_, err := io.Copy(io.Discard, in) // what was not opened
	if err == nil && !damaged {
		checked[0].Err = sealed.named(opened)
	}
	return checked
}
