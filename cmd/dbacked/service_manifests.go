package main

import (
	"bytes"
	"context"
	"io"
	"path"
	"sync"

	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	// mostManifests bounds what is remembered: more than an agent shows.
	mostManifests = 100
	// largestManifest is what one may have, in bytes, to be remembered.
	largestManifest = 64 << 10
)

// manifests are those of a service, where none ever changes: an agent that looks
// every hour at what there is reads each once.
type manifests struct {
	mu  sync.Mutex
	all map[string][]byte
}

// over is a store whose manifests are remembered.
func (m *manifests) over(store storage.Store) storage.Store { return remembering{store, m} }

type remembering struct {
	storage.Store
	manifests *manifests
}

// Open reads a manifest from memory, if it is there, and anything else from the store.
func (r remembering) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	if path.Base(name) != "manifest" || offset != 0 {
		return r.Store.Open(ctx, name, offset)
	}
	if data, ok := r.manifests.get(name); ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	file, err := r.Store.Open(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, largestManifest+1))
	if err != nil || len(data) > largestManifest {
		_ = file.Close()
		if err == nil {
			return r.Store.Open(ctx, name, 0)
		}
		return nil, err
	}
	r.manifests.put(name, data)
	return io.NopCloser(bytes.NewReader(data)), file.Close()
}

func (m *manifests) get(name string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.all[name]
	return data, ok
}

func (m *manifests) put(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= mostManifests {
		m.all = map[string][]byte{}
	}
	m.all[name] = data
}
