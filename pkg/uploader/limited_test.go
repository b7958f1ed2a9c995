package uploader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/dbacked/dbacked/pkg/storage"
)

// limited is a real store that refuses what is beyond its limits.
type limited struct {
	storage.Store
	limits storage.Limits
	atOnce atomic.Int32
	most   atomic.Int32
}

func (l *limited) Limits() storage.Limits { return l.limits }

type limitedWriter struct {
	storage.Writer
	*limited
}

func (l *limited) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := l.Store.Create(ctx, name)
	return limitedWriter{w, l}, err
}

func (w limitedWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	now := w.atOnce.Add(1)
	defer w.atOnce.Add(-1)
	for most := w.most.Load(); now > most && !w.most.CompareAndSwap(most, now); most = w.most.Load() {
	}
	switch l := w.limits; {
	case l.MaxParts > 0 && number > l.MaxParts:
		return fmt.Errorf("part %d of %d", number, l.MaxParts)
	case l.MaxPart > 0 && int64(len(p)) > l.MaxPart:
		return fmt.Errorf("a part of %d bytes", len(p))
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

const (
	segmentParts = 3
	segment      = segmentParts * grain
)

var tight = storage.Limits{MaxParts: segmentParts, MaxPart: grain}

// chain stores all of r in objects of which each is called by its number.
func chain(ctx context.Context, u *Uploader, r io.Reader) (results []Result, err error) {
	return chainIn(ctx, u.Stream(), "db", r)
}

func chainIn(ctx context.Context, s *Stream, folder string, r io.Reader) (results []Result, err error) {
	for more := true; more && err == nil; {
		var result Result
		result, err = s.Upload(ctx, fmt.Sprintf("%s/%04d", folder, len(results)), r)
		results, more = append(results, result), result.More
	}
	return results, err
}

// TestAroundTheSegments uses one Uploader for streams of all lengths, so that
// what it keeps between two objects must never reach the next stream.
func TestAroundTheSegments(t *testing.T) {
	for _, parallel := range []int{1, 2, 5} {
		dir := t.TempDir()
		s := &limited{Store: local(t, dir), limits: tight}
		var stored int64
		u, err := New(s, Options{Parallel: parallel, Progress: func(n int64) { stored = n }})
		if err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for _, size := range []int{1, grain, segment - 1, segment, segment + 1, 2*segment - 1, 2 * segment, 2*segment + 1, 3*segment + grain, 7 * segment, 5} {
			data := random(size)
			results, err := chain(t.Context(), u, iotest.HalfReader(bytes.NewReader(data)))
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if total += int64(size); stored != total {
				t.Errorf("progress is %d instead of %d", stored, total)
			}
			checkChain(t, s, "db", results, data)
		}
		if most := int(s.most.Load()); most > parallel {
			t.Errorf("%d parts at once instead of %d", most, parallel)
		}
	}
}

// checkChain compares the objects with what was sent, and removes them.
func checkChain(t *testing.T, s storage.Store, folder string, results []Result, data []byte) {
	t.Helper()
	if want := (len(data) + segment - 1) / segment; len(results) != want {
		t.Errorf("%d bytes are in %d objects instead of %d", len(data), len(results), want)
	}
	var i int
	for piece := range slices.Chunk(data, segment) {
		name := fmt.Sprintf("%s/%04d", folder, i)
		sum := sha256.Sum256(piece)
		want := Result{int64(len(piece)), hex.EncodeToString(sum[:]), i < len(results)-1}
		if results[i] != want {
			t.Errorf("%d bytes, %s: %+v, want %+v", len(data), name, results[i], want)
		}
		same(t, s, name, piece)
		if err := s.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		i++
	}
}

// TestSourceThatFailsInASegment shows that an object is committed only when what
// follows it has begun well.
func TestSourceThatFailsInASegment(t *testing.T) {
	cause := errors.New("exit status 1")
	for size, want := range map[int]int{segment - 1: 0, segment: 0, segment + 1: 0, segment + grain: 1, 2 * segment: 1, 2*segment + grain: 2} {
		s := &limited{Store: local(t, t.TempDir()), limits: tight}
		u, err := New(s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := io.MultiReader(bytes.NewReader(random(size)), iotest.ErrReader(cause))
		if _, err := chain(t.Context(), u, r); !errors.Is(err, cause) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		objects, err := s.List(t.Context(), "")
		if err != nil || len(objects) != want {
			t.Errorf("after %d bytes there are %v, %v; want %d", size, objects, err, want)
		}
		if _, err := u.Stream().Upload(t.Context(), "db/again", bytes.NewReader([]byte("x"))); !errors.Is(err, cause) {
			t.Errorf("used again: %v", err)
		}
	}
}

// TestCommitThatFailsFreesTheSource has more to come when a commit fails.
func TestCommitThatFailsFreesTheSource(t *testing.T) {
	cause := errors.New("412 precondition failed")
	s := local(t, t.TempDir())
	f := faulty{Store: s, commit: func(context.Context, *storage.Object) error { return cause }}
	u, err := New(&limited{Store: f, limits: tight}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	writer := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, err = w.Write(random(grain))
		}
		writer <- err
	}()
	if _, err := u.Stream().Upload(t.Context(), "db/x", r); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if err := <-writer; !errors.Is(err, cause) {
		t.Errorf("the source's writer sees %v", err)
	}
}

func TestFit(t *testing.T) {
	s := local(t, t.TempDir())
	s3 := storage.Limits{MaxParts: 10_000, MinPart: 5 << 20, MaxPart: 5 << 30}
	none := storage.Limits{}
	for name, test := range map[string]struct {
		limits         *storage.Limits
		options        Options
		size, parallel int
	}{
		"a folder":                  {nil, Options{}, 4 << 20, 2},
		"a network":                 {&none, Options{}, 170 * grain, 4},
		"S3":                        {&s3, Options{}, 170 * grain, 4},
		"a large budget":            {&s3, Options{Budget: 1 << 30, Parallel: 6}, 128 << 20, 6},
		"a small budget":            {&s3, Options{Budget: 20 << 20}, 5 << 20, 2},
		"the smallest":              {&s3, Options{Budget: 15 << 20}, 5 << 20, 1},
		"many parts at once":        {&s3, Options{Parallel: 100}, 5 << 20, 10},
		"small parts at most":       {&tight, Options{}, grain, 4},
		"a part size":               {&s3, Options{PartSize: 100 << 20}, 100 << 20, 4},
		"a part size too small":     {&s3, Options{PartSize: 1 << 20}, 5 << 20, 4},
		"a part size, of a folder":  {nil, Options{PartSize: 1000, Parallel: 5}, 1000, 5},
		"a rate":                    {nil, Options{Rate: 1 << 20}, 1 << 20, 2},
		"a very slow rate":          {nil, Options{Rate: 1}, grain, 2},
		"a slow rate, of S3":        {&s3, Options{Rate: 1 << 20}, 5 << 20, 4},
		"a budget of a few bytes":   {nil, Options{Budget: 400}, 100, 2},
		"a budget of three bytes":   {nil, Options{Budget: 3}, 1, 1},
		"streams, of a folder":      {nil, Options{Streams: 4}, 2340 << 10 &^ (grain - 1), 2},
		"streams, of S3":            {&s3, Options{Streams: 8}, 5 << 20, 3},
		"streams, the smallest":     {&s3, Options{Streams: 8, Budget: 50 << 20}, 5 << 20, 1},
		"negative is as if not set": {nil, Options{Budget: -1, Parallel: -1, PartSize: -1, Rate: -1}, 4 << 20, 2},
	} {
		var store storage.Store = s
		if test.limits != nil {
			store = &limited{Store: s, limits: *test.limits}
		}
		u, err := New(store, test.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if u.options.PartSize != test.size || u.options.Parallel != test.parallel {
			t.Errorf("%s: parts of %d, %d at once; want %d, %d", name, u.options.PartSize, u.options.Parallel, test.size, test.parallel)
		}
		if held := int64(u.options.PartSize) * int64(cap(u.shared)+cap(u.seats)); held > u.options.Budget {
			t.Errorf("%s: %d bytes are held of %d", name, held, u.options.Budget)
		}
	}
	_, err := New(&limited{Store: s, limits: s3}, Options{Budget: 15<<20 - 1})
	if err == nil || !strings.Contains(err.Error(), "allow 15728640 or more") {
		t.Errorf("a budget that cannot be kept: %v", err)
	}
	_, err = New(&limited{Store: s, limits: s3}, Options{Budget: 16 << 20, Streams: 3})
	if err == nil || !strings.Contains(err.Error(), "allow 26214400 or more, or fewer streams at once than 3") {
		t.Errorf("a budget that cannot be kept for so many streams: %v", err)
	}
}

// TestMemoryOfAChain shows that all objects of a stream share one budget, and
// that no more than it is ever allocated, so that no collector need run for it.
func TestMemoryOfAChain(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MiB are too much for a short run")
	}
	s := &limited{Store: local(t, t.TempDir()), limits: storage.Limits{MaxParts: 5, MinPart: 5 << 20}}
	u, err := New(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	results, err := chain(t.Context(), u, io.LimitReader(zeros{}, 256<<20))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	got := (after.TotalAlloc - before.TotalAlloc) >> 10
	t.Logf("%d objects, %d KiB allocated", len(results), got)
	if got > 65<<10 || len(results) != 5 {
		t.Errorf("%d KiB were allocated for 256 MiB in %d objects", got, len(results))
	}
}
