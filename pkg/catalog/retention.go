package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/retention"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Policy says which backups are kept. Those that count are the good ones.
type Policy = retention.Policy

// Dated is a backup with what the store itself says of it.
type Dated struct {
	Entry

	Date   time.Time // when the store took the manifest, by the store's clock
	Stored int64     // bytes that the store holds of it
	Damage error     // which file is missing, or has not the size that the manifest says
}

// Survey returns the backups of an instance with their dates, the newest first.
// It lists the store once and reads each manifest.
func Survey(ctx context.Context, store storage.Store, instance string, trust Trust) ([]Dated, error) {
	all, _, err := folders(ctx, store, instance)
	if err != nil {
		return nil, err
	}
	s := shelf{store: store, instance: instance, trust: trust}
	var dated []Dated
	for _, f := range all {
		if !f.complete {
			continue
		}
		e, err := s.load(ctx, f.id)
		if errors.Is(err, ErrNoBackup) {
			continue // removed meanwhile
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil {
			e.Proof = fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		if e.Proof == nil && e.Displaced == nil && f.committed.Sub(e.Manifest.Finished) > maxRedated {
			if first, _ := s.older(ctx, f.id); first != nil {
				e = *first // the same was written again, to make an old one look new
			}
		}
		d := Dated{Entry: e, Date: f.committed, Damage: f.damage(e.Manifest)}
		if e.Displaced != nil {
			d.Date = e.Displaced.Good.Modified
		}
		for _, size := range f.sizes {
			d.Stored += size
		}
		dated = append(dated, d)
	}
	return dated, nil
}

// damage compares what the store lists with what the manifest says.
func (f found) damage(m *Manifest) error {
	if m == nil {
		return nil // its proof says it
	}
	for _, file := range m.Files {
		size, there := f.sizes[file.Name]
		if !there {
			return fmt.Errorf("its file %s is missing", file.Name)
		}
		if size != file.StoredBytes {
			return fmt.Errorf("its file %s has %d bytes instead of %d", file.Name, size, file.StoredBytes)
		}
	}
	return nil
}
