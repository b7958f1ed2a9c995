package storage

import (
	"context"
	"errors"
	"time"
)

// ErrChanged says that an object is not, or no longer, in the state that it was
// to be replaced in.
var ErrChanged = errors.New("changed meanwhile")

// Version is one state of a small object that is overwritten (a lease).
type Version struct {
	Tag      string    // tells one state from another; opaque
	Modified time.Time // when it was written, by the store's clock
	Now      time.Time // when the store answered, by the same clock; zero if it does not say
}

// Conditional is a Store in which a small object can be replaced only if it has
// not changed since it was read. Two states of equal bytes may have equal tags:
// put something new into each.
type Conditional interface {
	// Get reads an object, or says ErrNotFound.
	Get(ctx context.Context, name string) (data []byte, v Version, err error)

	// PutNew writes an object if there is none of that name: else ErrExists,
	// unless what is there is exactly this data.
	PutNew(ctx context.Context, name string, data []byte) (Version, error)

	// Replace writes an object whose tag is still tag: else ErrChanged, unless
	// what is there is exactly this data.
	Replace(ctx context.Context, name string, data []byte, tag string) (Version, error)
}
