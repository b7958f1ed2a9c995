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

	// Displaced says that only an older version of the file is; nil if the
	// newest is.
	Displaced *storage.Displaced
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
	opened := v.open(in, &sealed)
	_, err := io.Copy(io.Discard, in) // what was not opened
	if damaged && v.mend(ctx, &sealed, checked) {
		again := sealed.read(ctx, 0, func(int64) {})
		defer again.close()
		damaged, opened = false, v.open(again, &sealed)
	}
	if err == nil && !damaged {
		checked[0].Err = sealed.named(opened)
	}
	return checked
}

// open decrypts and decompresses a file, if there is a key.
func (v *Verify) open(in io.Reader, sealed *Sealed) error {
	if v.Key == nil {
		return nil
	}
	plain, err := Open(io.Discard, in, v.Key, v.Progress)
	if err == nil {
		err = sealed.comparePlain(plain)
	}
	return err
}

// mend looks for older versions of the files that are not what the manifest says,
// and tells whether all are good now.
func (v *Verify) mend(ctx context.Context, sealed *Sealed, checked []Checked) bool {
	good := true
	for i, f := range sealed.files()[:len(checked)] {
		if checked[i].Err == nil {
			continue
		}
		if checked[i].Err = f.settle(ctx, checked[i].Err, v.Progress.addStored); checked[i].Err == nil {
			checked[i].Displaced = f.object.displaced
		}
		good = good && checked[i].Err == nil
	}
	return good
}
