package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// ErrDiffers says that what is stored is not what the manifest says.
var ErrDiffers = errors.New("differs from its manifest")

// Sealed is an encrypted file that can be read from its beginning more than
// once: from a store, or from a spool.
type Sealed struct {
	Name string // for errors
	Open func(ctx context.Context, offset int64) (io.ReadCloser, error)

	// What the manifest says of it. SHA256 is empty where there is no manifest:
	// then the other two mean nothing.
	SHA256      string
	StoredBytes int64
	PlainBytes  int64 // with that of Rest

	object *object // in a store; nil for a spool

	// Rest are the files in which this one goes on, in their order. Only this
	// first one has a header.
	Rest []Sealed
}

// SealedFile is a file of a backup in a store, with those in which it goes on.
func SealedFile(store storage.Store, m *catalog.Manifest, f catalog.File) Sealed {
	s := sealedFile(store, m, f)
	for _, next := range m.Chain(f)[1:] {
		s.Rest = append(s.Rest, sealedFile(store, m, next))
	}
	return s
}

func sealedFile(store storage.Store, m *catalog.Manifest, f catalog.File) Sealed {
	o := &object{store: store, name: catalog.Path(m.Instance, m.ID, f.Name)}
	return Sealed{
		Name:        o.name,
		Open:        o.open,
		object:      o,
		SHA256:      f.SHA256,
		StoredBytes: f.StoredBytes,
		PlainBytes:  f.PlainBytes,
	}
}

// files are s itself and those in which it goes on.
func (s *Sealed) files() []Sealed { return append([]Sealed{*s}, s.Rest...) }

func (s *Sealed) totalStored() (total int64) {
	for _, f := range s.files() {
		total += f.StoredBytes
	}
	return total
}

// compare compares what was read with the manifest, if there is one.
func (s *Sealed) compare(size int64, sum string) error {
	switch {
	case s.SHA256 == "":
		return nil
	case size != s.StoredBytes:
		return s.named(fmt.Errorf("%w: it has %d bytes instead of %d", ErrDiffers, size, s.StoredBytes))
	case sum != s.SHA256:
		return s.named(fmt.Errorf("%w: its SHA-256 is %s instead of %s", ErrDiffers, sum, s.SHA256))
	}
	return nil
}

// comparePlain compares how much came out of it with the manifest.
func (s *Sealed) comparePlain(plain int64) error {
	if s.SHA256 != "" && plain != s.PlainBytes {
		return s.named(fmt.Errorf("%w: it holds %d bytes of dump instead of %d", ErrDiffers, plain, s.PlainBytes))
	}
	return nil
}

// named says of which file an error is, unless it says so itself: that of a file
// in which this one goes on does.
func (s *Sealed) named(err error) error {
	if _, said := errors.AsType[*fileError](err); err == nil || s.Name == "" || said {
		return err
	}
	return &fileError{s.Name, err}
}

// fileError is an error of one file.
type fileError struct {
	name string
	err  error
}

func (e *fileError) Error() string { return e.name + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }
