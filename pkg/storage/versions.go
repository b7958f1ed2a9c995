package storage

import (
	"context"
	"fmt"
	"io"
	"time"
)

// ObjectVersion is one state of an object in a Versioned store, or the mark that
// its removal left.
type ObjectVersion struct {
	Name     string
	ID       string // "" in a store, or of an object, without versions
	Tag      string // the ETag; opaque
	Size     int64
	Modified time.Time // by the store's clock
	Latest   bool      // it is what Open reads, or the mark that hides the others
	Removed  bool      // it is such a mark: there is nothing to read
}

// Kept tells whether the store keeps versions of the object: what is written over
// this one does not destroy it.
func (v ObjectVersion) Kept() bool { return v.ID != "" && v.ID != "null" }

// Versioned is a Store that may keep what was there before an object was
// overwritten or removed.
type Versioned interface {
	// Versions returns every state of an object that is kept and the marks of
	// its removals, the newest first; none is no error. Of very many it leaves
	// some out, never the newest nor the oldest ones.
	Versions(ctx context.Context, name string) ([]ObjectVersion, error)
	// VersionsUnder is Versions for all objects whose names begin with prefix,
	// come after the name after, and are picked by pick.
	VersionsUnder(ctx context.Context, prefix, after string, pick func(name string) bool) (map[string][]ObjectVersion, error)
	// OpenVersion is Open for one of them.
	OpenVersion(ctx context.Context, name, id string, offset int64) (io.ReadCloser, error)
}

// Stated is what Open of a Versioned store may return: a reader that knows which
// state of the object it reads.
type Stated interface {
	// State has the id, the tag and the size, as far as they are known: it is
	// zero where nothing is.
	State() ObjectVersion
}

// Displaced says that an object is as it should be only in an older version:
// somebody wrote another over it, or removed it. It is an error for those to
// whom this is one.
type Displaced struct {
	Name   string
	Newest ObjectVersion // what hides the good one
	Good   ObjectVersion
}

func (d *Displaced) Error() string {
	what := "was overwritten"
	if d.Newest.Removed {
		what = "was removed"
	}
	return fmt.Sprintf("%s %s on %s (version %q); the version of %s (%q) is good: remove the newer ones to bring it back", d.Name, what,
		moment(d.Newest.Modified), d.Newest.ID, moment(d.Good.Modified), d.Good.ID)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
