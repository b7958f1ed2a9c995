package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

// Policy says which backups are kept: each that one of its rules keeps, the
// others go. A rule that is zero keeps nothing, and a policy without any rule
// removes nothing. All ages are measured from the newest good backup, so that
// nothing goes while no new backups come, nor when a clock jumps ahead.
type Policy struct {
	KeepLast int // the newest ones

	// The newest one of each of so many calendar days, weeks (from Monday),
	// months and years that have one, counted from the newest back.
	Daily, Weekly, Monthly, Yearly int

	For     time.Duration  // all that are no older
	Minimum time.Duration  // nothing younger goes, whatever else is said; no rule by itself
	Zone    *time.Location // whose days count; nil is UTC
}

// HasRule tells whether a rule keeps anything. Minimum alone is none.
func (p Policy) HasRule() bool {
	return p.KeepLast > 0 || p.Daily > 0 || p.Weekly > 0 || p.Monthly > 0 || p.Yearly > 0 || p.For > 0
}

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
