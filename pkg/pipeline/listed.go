package pipeline

import (
	"context"
	"fmt"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// Listed compares a backup's files with what the store lists, without reading
// any: that they are there, and their sizes. It is what a host can do that may
// only write.
func (v *Verify) Listed(ctx context.Context, m *catalog.Manifest) ([]Checked, error) {
	objects, err := v.Store.List(ctx, catalog.Path(m.Instance, m.ID, "")+"/")
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, o := range objects {
		sizes[o.Name] = o.Size
	}
	all := make([]Checked, 0, len(m.Files))
	for _, f := range m.Files {
		name := catalog.Path(m.Instance, m.ID, f.Name)
		size, there := sizes[name]
		checked := Checked{File: f}
		switch {
		case !there:
			checked.Err = fmt.Errorf("%s: %w", name, storage.ErrNotFound)
		case size != f.StoredBytes:
			checked.Err = fmt.Errorf("%s: %w: it has %d bytes instead of %d", name, ErrDiffers, size, f.StoredBytes)
		}
		all = append(all, checked)
	}
	return all, nil
}
