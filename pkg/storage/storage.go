// Package storage keeps immutable, named objects.
//
// A name is a slash-separated path ("mydb/20261122T215643Z-7f3c2a/0000.dbacked"),
// relative and clean; [CheckName] has the rules. No name may be the folder of
// another. An object appears whole or not at all: nothing of it can be seen before [Writer.Commit] returns nil, and
// once it is there it is never overwritten.
//
// [Store] is shaped by its hardest case, parts that are uploaded to presigned
// addresses; a folder fits in easily. Every implementation passes the suite in
// storagetest.
package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors that a store returns, wrapped, so that callers can tell them apart
// with errors.Is.
var (
	// ErrNotFound says that no object has that name.
	ErrNotFound = errors.New("not found")
	// ErrExists says that an object of that name is there already, and that it
	// is not the one that was to be written.
	ErrExists = errors.New("exists already")
	// ErrLocked says that an object may not be removed yet: the store protects
	// it for a time.
	ErrLocked = errors.New("locked")
	// ErrForbidden says that whoever asks lacks the right to do this.
	ErrForbidden = errors.New("not allowed")
)

// Object is what a store says of one object.
type Object struct {
	Name     string    // as given to Create or Put
	Size     int64     // bytes stored
	Modified time.Time // when it was committed, by the store's clock
}

// Store keeps objects. Its methods may be called from several goroutines.
type Store interface {
	// Create begins an object. Exactly one of Commit and Abort must follow.
	// If the name is taken, Create or Commit says ErrExists.
	Create(ctx context.Context, name string) (Writer, error)

	// Put writes a small object in one step, if there is none of that name:
	// else ErrExists.
	Put(ctx context.Context, name string, data []byte) error

	// Open reads an object from an offset to its end, or says ErrNotFound. An
	// offset at or past the end gives an empty reader.
	Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error)

	// List returns the committed objects whose names begin with prefix, sorted
	// by name. Objects begun and not committed are not among them. A prefix
	// that is a folder must end in a slash: "db" also matches "db2/…".
	List(ctx context.Context, prefix string) ([]Object, error)

	// Remove removes an object. Removing what is not there is no error.
	Remove(ctx context.Context, name string) error

	// String names the store for people, without secrets.
	String() string
}

// Writer takes the parts of one object.
type Writer interface {
	// WritePart stores part number (from 1) of the object, which begins at
	// offset. Parts come in any order, from several goroutines; a part may be
	// written again, with the same bytes, after an error. It keeps no
	// reference to p.
	WritePart(ctx context.Context, number int, offset int64, p []byte) error

	// Commit makes the object visible, durably, and returns what the store
	// itself says it now holds: the caller compares that with what it sent.
	Commit(ctx context.Context) (Object, error)

	// Abort removes what was written. It is called with a context of its own,
	// even after the run's has ended. After Commit it does nothing.
	Abort(ctx context.Context) error
}

// Cleaner is a Store in which a run that was killed may leave objects begun and
// neither committed nor aborted. The caller must hold the instance's lock.
type Cleaner interface {
	// RemoveUnfinished removes every unfinished object under prefix and returns
	// their names.
	RemoveUnfinished(ctx context.Context, prefix string) ([]string, error)
}

// Reclaimer is a Cleaner in which an unfinished object may belong to a live run
// on another machine.
type Reclaimer interface {
	// RemoveAbandoned removes every object under the folder prefix (it ends in
	// a slash) that was begun more than age ago, by the store's clock, and is
	// unfinished, and returns their names. With age 0 it removes all: only for
	// what is known to be dead.
	RemoveAbandoned(ctx context.Context, prefix string, age time.Duration) ([]string, error)
}

// Untidy is a Store that may have stored an object, and be unable to clear up what
// was begun beside it: that is no failure of the object.
type Untidy interface {
	// Left returns why something was left since the last call: it is to be said.
	Left() []error
}
