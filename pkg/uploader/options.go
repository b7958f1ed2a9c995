package uploader

import (
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	// A store that is a folder gains nothing from more parts at once.
	localBudget, localParallel = 16 << 20, 2
	// One behind a network, which says so by its limits, does.
	remoteBudget, remoteParallel = 64 << 20, 4

	// grain is what a part's size is a multiple of.
	grain = 64 << 10

	defaultStall = 10 * time.Minute
)

// Options sets how streams are stored. The zero value is ready for use.
type Options struct {
	// Streams is how many are stored at once. 0 means one.
	Streams int
	// Budget bounds the bytes of all parts that are held at once. 0 means 64 MiB
	// for a store that is [storage.Limited], which those behind a network are,
	// and 16 MiB for others.
	Budget int64
	// Parallel is how many parts are written at once, of all streams. 0 means 4 for a store that
	// is storage.Limited, and 2 for others. It is lowered where the smallest
	// parts that the store takes do not fit into Budget.
	Parallel int
	// PartSize is the size of every part but the last, in bytes. 0 means what
	// Budget allows for Parallel+Streams+1 of them, and no more than a second's
	// worth of Rate. The store's limits come first.
	PartSize int
	// Rate is the most bytes a second that go to the store, on the average of a
	// few parts. 0 means that there is no limit. A wait for it is no stall.
	Rate int64
	// Backoff says how often and when a part is tried again.
	Backoff storage.Backoff
	// StallTimeout is the longest that one step may take: writing a part, with
	// all its tries and the waits between them, or the commit. 0 means 10
	// minutes.
	StallTimeout time.Duration
	// Progress, if set, is called after each part with the bytes stored so far,
	// of all objects. Calls do not overlap.
	Progress func(storedBytes int64)

	maxParts int // of one object; 0: no limit
}

// buffers is how many parts there are: those that are written, one that each
// stream reads, and one that is hashed.
func (o Options) buffers() int { return o.Parallel + o.Streams + 1 }

// fit completes the options so that they heed the limits of a store.
func (o Options) fit(store storage.Store) (Options, error) {
	var limits storage.Limits
	budget, parallel := int64(localBudget), localParallel
	if s, ok := store.(storage.Limited); ok {
		limits = s.Limits()
		budget, parallel = remoteBudget, remoteParallel
	}
	o.Streams = max(o.Streams, 1)
	if o.Parallel <= 0 {
		o.Parallel = parallel
	}
	if o.Budget <= 0 {
		o.Budget = max(budget, int64(o.PartSize)*int64(o.buffers()))
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	o.maxParts = limits.MaxParts
	size := o.partSize(limits)
	for o.Parallel > 1 && size*int64(o.buffers()) > o.Budget {
		o.Parallel--
	}
	if least := size * int64(o.buffers()); least > o.Budget {
		err := fmt.Errorf("%d bytes for the parts of an upload are too few: %s takes parts of at least %d, and %d of them are held at once; allow %d or more",
			o.Budget, store, size, o.buffers(), least)
		if o.Streams > 1 {
			err = fmt.Errorf("%w, or fewer streams at once than %d", err, o.Streams)
		}
		return o, err
	}
	o.PartSize = int(size)
	return o, nil
}

// partSize is what was asked for, or what the budget gives, within the limits.
func (o Options) partSize(l storage.Limits) int64 {
	size := int64(o.PartSize)
	if size <= 0 {
		size = o.Budget / int64(o.buffers())
		if o.Rate > 0 {
			size = min(size, max(o.Rate, grain))
		}
		if size > grain {
			size -= size % grain
		}
	}
	if l.MaxPart > 0 {
		size = min(size, l.MaxPart)
	}
	return max(size, l.MinPart, 1)
}
