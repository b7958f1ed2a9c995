package catalog

import (
	"context"
	"reflect"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Original returns what a backup that is proved was at first. A manifest is written
// once: where the store keeps several versions of it that are proved and say
// different things, somebody who holds the instance's key wrote the later ones. It
// is one more request for a backup, so it is for those who read one; with an error
// the entry is returned as it is.
func Original(ctx context.Context, store storage.Store, instance string, trust Trust, e Entry) (Entry, error) {
	versioned, ok := store.(storage.Versioned)
	if !ok || e.Proof != nil || e.Displaced != nil {
		return e, nil
	}
	s := shelf{store: store, instance: instance, trust: trust}
	versions, err := versioned.Versions(ctx, s.name(e.ID))
	if err != nil {
		return e, unseen(err)
	}
	first, err := s.among(ctx, versioned, e.ID, versions)
	if first == nil || reflect.DeepEqual(first.Manifest, e.Manifest) {
		return e, unseen(err)
	}
	return *first, nil
}
