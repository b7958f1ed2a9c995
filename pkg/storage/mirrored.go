package storage

import "context"

// Place is one of several stores that keep the same objects.
type Place struct {
	Name  string // for people, without secrets
	Store Store  // nil if it could not be opened
	Err   error  // why it takes no part, or no part any more; nil while it does
}

// Mirrored is a Store that writes each object to several places at once. One
// that fails is left out from then on, and the others go on without it: what was
// written is then only in those that are left.
type Mirrored interface {
	// Places returns all places, in their order, as they are now.
	Places() []Place

	// Drop leaves a place out, and ends what goes on there. Only the first cause
	// counts.
	Drop(name string, cause error)

	// Settle waits until nothing goes on any more in the places that were left
	// out, or until ctx ends.
	Settle(ctx context.Context)
}
