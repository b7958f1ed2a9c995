package s3

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const seeds = 24

// TestSeededFaults writes objects through a network and a service that fail at
// random: each run ends with the object there, equal, or with an error, nothing
// to see and nothing left.
func TestSeededFaults(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "seeded", false)
	data := pattern(smallestPart + 1<<20)
	var written, failed int
	faults := make(map[string]int)
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			every := 2 + int(seed%4) // from one request in two to one in five
			b := newBedIn(t, server, "seeded", func(o *Options) { o.Backoff.Tries = 4 + int(seed%5) })
			b.proxy.SetPlan(dbtest.Seeded(seed, every))
			folder := fmt.Sprintf("db/%d/", seed)
			err := b.upload(folder+"0000.dbacked", data)
			if err == nil {
				err = b.Put(t.Context(), folder+"manifest", data[:100])
			}
			for name, n := range b.proxy.Done() {
				faults[name] += n
			}
			if err != nil {
				t.Log(err)
				failed++
				b.failedRun(folder, data)
				return
			}
			written++
			b.holds(folder+"0000.dbacked", data)
			b.holds(folder+"manifest", data[:100])
			b.clean(folder)
			if got, err := b.read(b.Store, folder+"0000.dbacked"); err == nil && !bytes.Equal(got, data) {
				t.Errorf("read %d bytes that are not those that were written", len(got))
			}
		})
	}
	t.Logf("of %d runs %d wrote, %d failed with a reason; faults:", seeds, written, failed)
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Logf("%-15s %d", name, faults[name])
	}
	if written < seeds/2 {
		t.Error("fewer than half of the runs wrote")
	}
}

// failedRun checks what a run that failed left: what it could not remove, as
// that failed too, one look later removes all the same.
func (b *bed) failedRun(folder string, data []byte) {
	b.t.Helper()
	names, err := b.healthy.RemoveAbandoned(b.t.Context(), folder, 0)
	if err != nil {
		b.t.Error(err)
	}
	if len(names) > 0 {
		b.t.Logf("left, as removing it failed too: %q", names)
	}
	list, err := b.healthy.List(b.t.Context(), folder)
	if err != nil {
		b.t.Error(err)
	}
	for _, o := range list { // whole, but without a manifest: no backup
		if o.Name == folder+"manifest" {
			b.t.Errorf("the run failed, and its manifest is there")
		}
		b.holds(o.Name, data)
	}
	b.clean(folder)
}
