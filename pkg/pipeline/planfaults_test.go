package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/mirror"
)

// planSeeds is how many random plans there are, unless DBACKED_TEST_PLANS says
// another number, as make storm does. They take some seconds.
const planSeeds = 40

func seedsOfPlans(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("DBACKED_TEST_PLANS")
	if text == "" {
		return planSeeds
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatalf("DBACKED_TEST_PLANS: %v", err)
	}
	return n
}

// breaking is a store whose calls of one sort break at one of them.
type breaking struct {
	tightStore
	call  string
	after atomic.Int64 // calls that go well
	stop  func()       // instead of an error, if it is set
}

func (s *breaking) breaks(call string) error {
	if call != s.call || s.after.Add(-1) != -1 {
		return nil
	}
	if s.stop != nil {
		s.stop()
		return nil
	}
	return errBroken
}

func (s *breaking) Create(ctx context.Context, name string) (storage.Writer, error) {
	if err := s.breaks("create"); err != nil {
		return nil, err
	}
	w, err := s.tightStore.Create(ctx, name)
	return &breakingWriter{w, s}, err
}

func (s *breaking) Put(ctx context.Context, name string, data []byte) error {
	if err := s.breaks("put"); err != nil {
		return err
	}
	return s.tightStore.Put(ctx, name, data)
}

type breakingWriter struct {
	storage.Writer
	s *breaking
}

func (w *breakingWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if err := w.s.breaks("write"); err != nil {
		return err
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

func (w *breakingWriter) Commit(ctx context.Context) (storage.Object, error) {
	if err := w.s.breaks("commit"); err != nil {
		return storage.Object{}, err
	}
	return w.Writer.Commit(ctx)
}

// randomPlan is a plan, what is in its streams, and what it is to do.
type randomPlan struct {
	Plan
	kinds  []string
	plain  [][]byte
	closed atomic.Int32
	most   atomic.Int32 // streams at once
	now    atomic.Int32
}

// newPlan makes a plan of streams of all sizes. One of its dumps may break.
func newPlan(random *rand.Rand, b *bed) *randomPlan {
	var data [][]byte
	for range 1 + random.IntN(9) {
		sizes := []int{random.IntN(1000), random.IntN(segment), segment, segment + 1, random.IntN(4 * segment)}
		p := b.stored(1000 + sizes[random.IntN(len(sizes))])
		p[random.IntN(len(p))]++ // no two are the same
		data = append(data, p)
	}
	r := &randomPlan{}
	r.Streams, r.plain = splitOf(data...)
	r.Jobs = random.IntN(9)
	r.Close = func() error {
		r.closed.Add(1)
		if r.now.Load() != 0 {
			return errors.New("a stream goes on")
		}
		return nil
	}
	if random.IntN(2) == 0 {
		r.plain = append(r.plain, []byte("{}"))
		r.Last = []Stream{{Kind: catalog.KindContents, Dump: dumpOf([]byte("{}")).Dump}}
	}
	r.kinds = kindsOf(slices.Concat(r.Streams, r.Last)...)
	for i, s := range r.Streams {
		r.Streams[i].Dump = func(ctx context.Context, w io.Writer) error {
			defer r.now.Add(-1)
			now := r.now.Add(1)
			for most := r.most.Load(); now > most && !r.most.CompareAndSwap(most, now); most = r.most.Load() {
			}
			return s.Dump(ctx, w)
		}
	}
	return r
}

// breakDump has a stream fail, in one way or another, somewhere.
func (r *randomPlan) breakDump(random *rand.Rand) {
	streams := r.Streams
	if len(r.Last) > 0 && random.IntN(4) == 0 {
		streams = r.Last
	}
	i, panics := random.IntN(len(streams)), random.IntN(2) == 0
	some, dump := random.IntN(2*segment), streams[i].Dump
	streams[i].Dump = func(ctx context.Context, w io.Writer) error {
		err := dump(ctx, &limitedTo{w, some})
		if err == nil {
			err = errBroken
		}
		if panics && errors.Is(err, errBroken) {
			panic(errBroken.Error())
		}
		return err
	}
}

// limitedTo breaks after some bytes.
type limitedTo struct {
	w    io.Writer
	left int
}

func (l *limitedTo) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return l.w.Write(p)
	}
	n, err := l.w.Write(p[:l.left])
	l.left = 0
	return n, errors.Join(err, errBroken)
}

// TestRandomPlans makes backups of random plans in a folder, in which most break
// somewhere: each is proved and equal, or fails by its name and leaves nothing.
func TestRandomPlans(t *testing.T) {
	ended := map[string]int{}
	for seed := range seedsOfPlans(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			b := newBed(t)
			plan := newPlan(random, b)
			fault := []string{"none", "dump", "create", "write", "commit", "put", "close", "stop"}[random.IntN(8)]
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			s := &breaking{tightStore: tightStore{b.store}, call: fault}
			s.after.Store(random.Int64N(int64(len(plan.plain))))
			switch fault {
			case "dump":
				plan.breakDump(random)
			case "put":
				s.after.Store(0)
			case "close":
				plan.Close = func() error { plan.closed.Add(1); return errBroken }
			case "stop":
				s.call, s.stop = []string{"create", "write", "commit"}[random.IntN(3)], func() { cancel(errBroken) }
			}
			run := b.planned(plan.Plan)
			run.Store = s
			m, err := run.Run(ctx)
			if plan.closed.Load() != 1 || int(plan.most.Load()) > max(plan.Jobs, 1) {
				t.Errorf("closed %d times, %d streams at once of %d", plan.closed.Load(), plan.most.Load(), plan.Jobs)
			}
			ended[fmt.Sprintf("%s: proved: %v", fault, err == nil)]++
			if err != nil {
				wantFailure(t, err, fault)
				b.nothingLeft()
				return
			}
			if fault != "none" {
				t.Errorf("it was proved in spite of a fault: %s", fault)
			}
			b.wantStreams(m, plan.kinds, plan.plain)
		})
	}
	t.Logf("%v", ended)
}

// wantFailure checks that a failure is the first one, by its name.
func wantFailure(t *testing.T, err error, fault string) {
	t.Helper()
	stage, ok := errors.AsType[*StageError](err)
	if !ok || fault == "none" || !errors.Is(err, errBroken) && !strings.Contains(err.Error(), errBroken.Error()) {
		t.Errorf("%s: %v", fault, err)
		return
	}
	stages := map[string]string{"dump": StageDump, "close": StageDump, "create": StageUpload, "write": StageUpload, "commit": StageUpload, "put": StageCommit}
	if want := stages[fault]; want != "" && want != stage.Stage {
		t.Errorf("%s: in stage %s: %v", fault, stage.Stage, err)
	}
}

// TestRandomPlansInPlaces is TestRandomPlans in three folders at once, of which
// one breaks, or the dump does.
func TestRandomPlansInPlaces(t *testing.T) {
	for seed := range seedsOfPlans(t) / 3 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			fault := []string{"none", "dump", "create", "write", "commit", "put"}[random.IntN(6)]
			bad := random.IntN(3)
			beds, places := make([]*bed, 3), make([]mirror.Place, 3)
			for i := range beds {
				beds[i] = newBed(t)
				if i > 0 {
					beds[i].signer, beds[i].key = beds[0].signer, beds[0].key
				}
				s := &breaking{tightStore: tightStore{beds[i].store}}
				if i == bad {
					s.call = fault
				}
				if fault != "put" {
					s.after.Store(random.Int64N(3))
				}
				places[i] = mirror.Place{Name: fmt.Sprintf("place %d", i+1), Store: s}
			}
			plan := newPlan(random, beds[0])
			if fault == "dump" {
				plan.breakDump(random)
			}
			run := beds[0].planned(plan.Plan)
			run.Store = mirror.New(places, mirror.Options{
				Patience: 10 * time.Second, Backoff: storage.Backoff{Tries: 2, First: time.Millisecond, Longest: time.Millisecond},
			})
			run.First = "place 1"
			m, err := run.Run(t.Context())
			if plan.closed.Load() != 1 {
				t.Errorf("closed %d times", plan.closed.Load())
			}
			partial, isPartial := errors.AsType[*PartialError](err)
			switch {
			case fault == "dump":
				wantFailure(t, err, fault)
			case fault == "none" && err != nil, fault != "none" && (!isPartial || len(partial.Failed) != 1):
				t.Fatalf("%s in place %d: %v", fault, bad+1, err)
			}
			for i, b := range beds {
				if fault == "dump" || fault != "none" && i == bad {
					b.nothingLeft()
					continue
				}
				b.wantStreams(m, plan.kinds, plan.plain)
				if ids := b.ids(); !slices.Equal(ids, []string{m.ID}) {
					t.Errorf("place %d lists %v", i+1, ids)
				}
			}
		})
	}
}
