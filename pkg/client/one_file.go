package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/storage"
)

// OneFile is a storage.Store for the backup of an old run: it takes one object, and a
// manifest, which is not kept: that it is put tells the service that the backup is done.
//
// Nothing is there before that, and nothing can be taken back after it. What was uploaded
// of a backup that failed is the service's to remove, once it is told by [Run.End].
type OneFile struct {
	run *Run

	mu   sync.Mutex
	file *oneFile
	said bool // DONE was, and may have been heard
}

var (
	_ storage.Store   = (*OneFile)(nil)
	_ storage.Limited = (*OneFile)(nil)
)

// ErrOneFile says that a backup is to have more than an old service keeps.
var ErrOneFile = errors.New("the service keeps one file a backup")

// errStays says that an old service takes nothing back.
var errStays = fmt.Errorf("%w: a service without capabilities takes nothing back", storage.ErrForbidden)

// OneFile is where the backup of an old run is written.
func (c *Client) OneFile(run *Run) *OneFile { return &OneFile{run: run} }

// Limits are those of a part.
func (s *OneFile) Limits() storage.Limits { return limits }

// String is the service's address.
func (s *OneFile) String() string { return s.run.client.String() }

// Create begins the one file. A second one is ErrOneFile. Its parts may be written at
// once, but in their order: each waits until those before it have begun.
func (s *OneFile) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		return nil, fmt.Errorf("%w, of %d parts at most: a larger DBACKED_UPLOAD_MEMORY makes larger parts", ErrOneFile, mostParts)
	}
	s.file = &oneFile{parts: newParts(ctx, s.run, name), sum: newInOrder()}
	return s.file, nil
}

// Put takes a manifest alone, and tells the service with it that the backup is done.
func (s *OneFile) Put(ctx context.Context, name string, _ []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	if path.Base(name) != manifestBase {
		return fmt.Errorf("write %s: %w, and nothing beside it", name, ErrOneFile)
	}
	s.mu.Lock()
	file := s.file
	s.mu.Unlock()
	if file == nil || !file.isWhole() {
		return fmt.Errorf("complete a backup of %s: its file was not stored", s)
	}
	return s.done(ctx, file)
}

// done says DONE. Whether that was heard is looked up where the service lists what it
// has: a second DONE it may refuse, and the first answer may be lost.
func (s *OneFile) done(ctx context.Context, file *oneFile) error {
	etags, size, err := file.whole()
	if err != nil {
		return err
	}
	s.setSaid(true)
	said := s.run.status(ctx, "complete a backup of", api.Status{
		Status: api.StatusDone, AgentID: s.run.client.options.AgentID, PartsETag: etags, Hash: file.sum.hex(), PublicKey: s.run.PublicKey,
	})
	_, unheard := errors.AsType[*storage.TemporaryError](said)
	switch b, listed := s.listed(ctx, said == nil || unheard); {
	case listed == isListed && b.Size != 0 && b.Size != size:
		return fmt.Errorf("complete a backup of %s: it lists the backup with %d bytes, and %d were sent", s, b.Size, size)
	case said == nil && listed == isMissing:
		return fmt.Errorf("complete a backup of %s: it says that the backup is done, and does not list it", s)
	case said != nil && listed != isListed:
		s.setSaid(listed != isMissing)
		return said
	}
	s.run.wasDone()
	return nil
}

// What a service's list says of a backup.
const (
	notTold   = iota // it cannot be asked, or lists no backup at all
	isListed         // it is there
	isMissing        // others are
)

// listed looks for the backup in the service's list; for one that may yet appear there,
// several times.
func (s *OneFile) listed(ctx context.Context, may bool) (b api.Backup, listed int) {
	o := s.run.client.options
	_ = storage.Backoff{Tries: o.Tries, First: o.Wait}.Retry(ctx, func(ctx context.Context) error {
		b, listed = s.lookUp(ctx)
		if listed == isMissing && may {
			return &storage.TemporaryError{Err: errors.New("it is not listed")}
		}
		return nil
	})
	return b, listed
}

func (s *OneFile) lookUp(ctx context.Context) (b api.Backup, listed int) {
	p, err := s.run.client.Project(ctx)
	if err != nil || len(p.Backups) == 0 {
		return b, notTold
	}
	if i := slices.IndexFunc(p.Backups, func(b api.Backup) bool { return b.ID == s.run.ID }); i >= 0 {
		return p.Backups[i], isListed
	}
	return b, isMissing
}

func (s *OneFile) setSaid(said bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = said
}

// Open says that nothing can be read by its name: Download reads by a backup's id.
func (s *OneFile) Open(ctx context.Context, name string, _ int64) (io.ReadCloser, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("read %s from %s: %w under that name", name, s, storage.ErrNotFound)
}

// List returns nothing: what an old service has, has no names.
func (s *OneFile) List(ctx context.Context, _ string) ([]storage.Object, error) {
	return nil, context.Cause(ctx)
}

// Remove has nothing to remove before the end, and cannot after it.
func (s *OneFile) Remove(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said {
		return fmt.Errorf("remove %s from %s: %w, and may hold this backup", name, s, errStays)
	}
	return nil
}
