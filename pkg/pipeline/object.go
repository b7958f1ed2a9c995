package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dbacked/dbacked/pkg/storage"
)

// mostTried is how many older versions of a file are read, the oldest first: a
// file is written once, and what others put over it comes after.
const mostTried = 30

// object is a file of a backup in a store. Every reading of it is of one state:
// that which was read first, or the older version that settle found. It is for
// one reading at a time.
type object struct {
	store storage.Store
	name  string

	first     storage.ObjectVersion // what was read first; zero where the store does not say
	pinned    bool                  // only the version of first is read
	displaced *storage.Displaced    // why that is an older one
}

// open reads the object. To tell whether it is still in the state in which it was
// read first takes no request, and no right, of its own.
func (o *object) open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	versions, _ := o.store.(storage.Versioned)
	if o.pinned {
		return versions.OpenVersion(ctx, o.name, o.first.ID, offset)
	}
	r, err := o.store.Open(ctx, o.name, offset)
	if err != nil {
		if errors.Is(err, storage.ErrNotFound) && versions != nil && o.first.Kept() {
			return o.pin(ctx, versions, offset) // removed meanwhile
		}
		return nil, err
	}
	stated, ok := r.(storage.Stated)
	if !ok {
		return r, nil
	}
	state := stated.State()
	switch {
	case o.first.Tag == "":
		o.first = state
	case state.Tag == "", state.Tag == o.first.Tag && state.ID == o.first.ID:
	case versions != nil && o.first.Kept():
		r.Close()
		return o.pin(ctx, versions, offset) // overwritten meanwhile
	}
	return r, nil
}

func (o *object) pin(ctx context.Context, versions storage.Versioned, offset int64) (io.ReadCloser, error) {
	o.pinned = true
	return versions.OpenVersion(ctx, o.name, o.first.ID, offset)
}

// settle finds, after cause said that the file is not what the manifest says, an
// older version of it that is, and has it read from then on. Where there is none
// it returns cause. Versions of another size are not read.
func (s *Sealed) settle(ctx context.Context, cause error, count func(int64)) error {
	if s.object == nil || s.object.displaced != nil || context.Cause(ctx) != nil || !settles(cause) {
		return cause
	}
	store, ok := s.object.store.(storage.Versioned)
	if !ok {
		return cause
	}
	versions, err := store.Versions(ctx, s.Name)
	if errors.Is(err, errors.ErrUnsupported) {
		return cause
	}
	tried := 0
	for _, v := range slices.Backward(versions) {
		if v.Latest || v.Removed || v.Size != s.StoredBytes {
			continue
		}
		if tried++; tried > mostTried {
			break
		}
		good, readErr := s.same(ctx, store, v, count)
		if ended := context.Cause(ctx); ended != nil {
			return ended
		}
		if good {
			s.object.first, s.object.pinned = v, true
			s.object.displaced = &storage.Displaced{Name: s.Name, Newest: versions[0], Good: v}
			return nil
		}
		if readErr != nil {
			err = readErr
		}
	}
	if err != nil {
		return fmt.Errorf("%w; older versions could not be looked at: %v", cause, err) // what is wrong is cause
	}
	return cause
}

// compareStored reads this file, without those in which it goes on, and compares
// it with the manifest.
func (s Sealed) compareStored(ctx context.Context, count func(int64)) error {
	s.Rest = nil
	in := s.read(ctx, 0, count)
	defer in.close()
	in.judge = func(err error) error { return err }
	_, err := io.Copy(io.Discard, in)
	return err
}

// settles tells an error that an older version can mend from one of the network.
func settles(err error) bool {
	_, temporary := errors.AsType[*storage.TemporaryError](err)
	return !temporary
}

// same reads a version and compares it with the manifest.
func (s *Sealed) same(ctx context.Context, store storage.Versioned, v storage.ObjectVersion, count func(int64)) (bool, error) {
	r, err := store.OpenVersion(ctx, v.Name, v.ID, 0)
	if err != nil {
		return false, err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &countingReader{ctx, r, count})
	return err == nil && s.compare(n, hex.EncodeToString(sum.Sum(nil))) == nil, err
}

// Displaced says which of the files that were read are older versions.
func (s *Sealed) Displaced() (all []*storage.Displaced) {
	for _, f := range s.files() {
		if f.object != nil && f.object.displaced != nil {
			all = append(all, f.object.displaced)
		}
	}
	return all
}
