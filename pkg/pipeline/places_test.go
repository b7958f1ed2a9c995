package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/mirror"
)

// several is a bed of three folders, of which one may be faulty.
type several struct {
	beds  []*bed
	store mirror.Mirror
}

func newSeveral(t *testing.T, faults map[int]*placeFault) *several {
	t.Helper()
	s := &several{}
	var places []mirror.Place
	for i := range 3 {
		b := newBed(t)
		if i > 0 {
			b.signer, b.key = s.beds[0].signer, s.beds[0].key
		}
		s.beds = append(s.beds, b)
		p := mirror.Place{Name: fmt.Sprintf("place %d", i+1), Store: b.store}
		if f := faults[i]; f != nil {
			f.Store = b.store
			p.Store = f
		}
		places = append(places, p)
	}
	s.store = mirror.New(places, mirror.Options{
		Patience: 300 * time.Millisecond, Backoff: storage.Backoff{Tries: 3, First: time.Millisecond, Longest: time.Millisecond},
	})
	return s
}

// backup is a run that goes to all places.
func (s *several) backup(plain []byte) *Backup {
	run := s.beds[0].backup(dumpOf(plain))
	run.Streams = append([]Stream{{Kind: catalog.KindGlobals, Dump: dumpOf([]byte("CREATE ROLE x;")).Dump}}, run.Streams...)
	run.Store, run.First, run.UploadBudget = s.store, "place 1", 1<<20 // parts of 256 KiB
	return run
}

// placeFault is a store in which one thing goes wrong.
type placeFault struct {
	storage.Store
	create, commit, manifest, list error
	part                           func(ctx context.Context, number int) error
	written                        bool // the manifest is written, though that failed
	keeps                          bool // and cannot be removed
	second                         bool // only what comes after the first file goes wrong
	vanishes                       bool // what is committed is gone a moment later
}

func (f *placeFault) Create(ctx context.Context, name string) (storage.Writer, error) {
	first := strings.HasSuffix(name, "/0000.dbacked")
	if f.create != nil && !(f.second && first) {
		return nil, f.create
	}
	w, err := f.Store.Create(ctx, name)
	return &placeFaultWriter{w, f, name}, err
}

func (f *placeFault) Put(ctx context.Context, name string, data []byte) error {
	if f.manifest == nil || !strings.HasSuffix(name, "/manifest") {
		return f.Store.Put(ctx, name, data)
	}
	if f.written {
		_ = f.Store.Put(ctx, name, data)
	}
	return f.manifest
}

func (f *placeFault) Remove(ctx context.Context, name string) error {
	if f.keeps {
		return f.manifest
	}
	return f.Store.Remove(ctx, name)
}

func (f *placeFault) List(ctx context.Context, prefix string) ([]storage.Object, error) {
	if f.list != nil {
		return nil, f.list
	}
	return f.Store.List(ctx, prefix)
}

func (f *placeFault) RemoveUnfinished(ctx context.Context, prefix string) ([]string, error) {
	return f.Store.(storage.Cleaner).RemoveUnfinished(ctx, prefix)
}

type placeFaultWriter struct {
	storage.Writer
	f    *placeFault
	name string
}

func (w *placeFaultWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if w.f.part != nil {
		if err := w.f.part(ctx, number); err != nil {
			return err
		}
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

func (w *placeFaultWriter) Commit(ctx context.Context) (storage.Object, error) {
	if w.f.commit != nil {
		return storage.Object{}, w.f.commit
	}
	o, err := w.Writer.Commit(ctx)
	if w.f.vanishes {
		_ = w.f.Store.Remove(ctx, w.name)
	}
	return o, err
}

// good fails the test unless a place holds exactly this backup, which opens.
func (s *several) good(t *testing.T, i int, m *catalog.Manifest, plain []byte) {
	t.Helper()
	b := s.beds[i]
	if ids := b.ids(); !slices.Equal(ids, []string{m.ID}) {
		t.Errorf("place %d lists %v", i+1, ids)
		return
	}
	checked, err := (&Verify{Store: b.store, Key: b.key}).Run(t.Context(), m)
	if err != nil || len(checked) != len(m.Files) || checked[0].Err != nil || checked[1].Err != nil {
		t.Errorf("place %d: %+v, %v", i+1, checked, err)
	}
	var back bytes.Buffer
	r := &Restore{File: SealedFile(b.store, m, m.Files[1]), Key: b.key, Proved: true, Target: into(&back)}
	if err := r.Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), plain) {
		t.Errorf("place %d: %d bytes came back, %v", i+1, back.Len(), err)
	}
}

func manifestIn(t *testing.T, b *bed, id string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.root, "shop", id, "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSeveral: one dump, and the same files and manifest in all places.
func TestSeveral(t *testing.T) {
	s := newSeveral(t, nil)
	plain := noise(2 << 20)
	m, err := s.backup(plain).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range s.beds {
		s.good(t, i, m, plain)
		if !bytes.Equal(manifestIn(t, b, m.ID), manifestIn(t, s.beds[0], m.ID)) {
			t.Error("the manifests differ")
		}
	}
}

// TestAPlaceFails breaks one place wherever it can break: the run is partial, the
// others hold a whole backup, and nothing of it stays in the one that broke.
func TestAPlaceFails(t *testing.T) {
	disk := errors.New("the disk broke")
	for name, fault := range map[string]*placeFault{
		"list":                         {list: disk},
		"create":                       {create: disk},
		"first part":                   {part: func(_ context.Context, n int) error { return disk }},
		"third part":                   {part: func(_ context.Context, n int) error { return at3(n, disk) }},
		"a stall":                      {part: func(ctx context.Context, n int) error { return stall(ctx, n) }},
		"commit":                       {commit: disk},
		"second file":                  {create: disk, second: true},
		"vanishes":                     {vanishes: true},
		"manifest":                     {manifest: disk},
		"manifest, and it was written": {manifest: disk, written: true},
	} {
		for _, bad := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s in place %d", name, bad+1), func(t *testing.T) {
				one := *fault
				s := newSeveral(t, map[int]*placeFault{bad: &one})
				plain := noise(2 << 20)
				m, err := s.backup(plain).Run(t.Context())
				partial, ok := errors.AsType[*PartialError](err)
				if !ok || m == nil || partial.Manifest != m {
					t.Fatalf("%v, %v", m, err)
				}
				if len(partial.Proved) != 2 || len(partial.Failed) != 1 || partial.Failed[0].Name != fmt.Sprintf("place %d", bad+1) {
					t.Errorf("%+v", partial)
				}
				switch cause := partial.Failed[0].Err; {
				case name == "a stall" && errors.Is(cause, mirror.ErrBehind):
				case name == "vanishes" && strings.Contains(cause.Error(), "was stored, and is not listed"):
				case !errors.Is(cause, disk):
					t.Error(err)
				}
				for i := range s.beds {
					if i != bad {
						s.good(t, i, m, plain)
					}
				}
				s.beds[bad].nothingLeft()
			})
		}
	}
}

func at3(n int, err error) error {
	if n == 3 {
		return err
	}
	return nil
}

func stall(ctx context.Context, n int) error {
	if n < 3 {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestAManifestThatStays: where a manifest was written though that failed, and can
// not be removed, its files stay too: what is listed is whole.
func TestAManifestThatStays(t *testing.T) {
	disk := errors.New("the disk broke")
	s := newSeveral(t, map[int]*placeFault{1: {manifest: disk, written: true, keeps: true}})
	plain := noise(2 << 20)
	m, err := s.backup(plain).Run(t.Context())
	if _, ok := errors.AsType[*PartialError](err); !ok || !strings.Contains(err.Error(), "left there") {
		t.Fatal(err)
	}
	for i := range s.beds {
		s.good(t, i, m, plain)
	}
}

// TestAllPlacesFail is a failure, of which nothing stays anywhere.
func TestAllPlacesFail(t *testing.T) {
	disk := errors.New("the disk broke")
	late := func(_ context.Context, n int) error { return at3(n, disk) }
	s := newSeveral(t, map[int]*placeFault{0: {part: late}, 1: {commit: disk}, 2: {manifest: disk, written: true}})
	m, err := s.backup(noise(2 << 20)).Run(t.Context())
	if _, partial := errors.AsType[*PartialError](err); partial || m != nil || !errors.Is(err, disk) {
		t.Errorf("%v, %v", m, err)
	}
	for _, b := range s.beds {
		b.nothingLeft()
	}
}

// TestTheDumpFails: no place is to blame, and nothing stays.
func TestTheDumpFails(t *testing.T) {
	s := newSeveral(t, nil)
	run := s.backup(nil)
	run.Streams[1].Dump = func(_ context.Context, w io.Writer) error {
		if _, err := w.Write(noise(1 << 20)); err != nil {
			return err
		}
		return errBroken
	}
	if m, err := run.Run(t.Context()); m != nil || !errors.Is(err, errBroken) {
		t.Errorf("%v, %v", m, err)
	}
	for i, b := range s.beds {
		b.nothingLeft()
		if err := s.store.Places()[i].Err; err != nil {
			t.Errorf("place %d was left out: %v", i+1, err)
		}
	}
}

// TestStoppedAtTheManifest: a run that ends while some places have the manifest
// leaves it in none.
func TestStoppedAtTheManifest(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	s := newSeveral(t, nil)
	last := &stopping{Store: s.beds[2].store, other: s.beds[0], stop: func() { cancel(stop) }}
	s.store = mirror.New([]mirror.Place{{Name: "place 1", Store: s.beds[0].store}, {Name: "place 3", Store: last}}, mirror.Options{})
	if m, err := s.backup(noise(1 << 20)).Run(ctx); m != nil || !errors.Is(err, stop) {
		t.Errorf("%v, %v", m, err)
	}
	for _, b := range s.beds {
		b.nothingLeft()
	}
}

// stopping ends the run at its manifest, when the other place has that.
type stopping struct {
	storage.Store
	other *bed
	stop  func()
}

func (s *stopping) Put(ctx context.Context, name string, _ []byte) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(s.other.root, name)); err == nil {
			s.stop()
			<-ctx.Done()
			return context.Cause(ctx)
		}
		<-tick.C
	}
}

// TestLeftoversOfPlaces: each place is cleaned, and where another machine might be
// at work only of what the first place knows to be over.
func TestLeftoversOfPlaces(t *testing.T) {
	s := newSeveral(t, nil)
	first, err := s.backup(noise(1000)).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	dead, alive := catalog.NewID(started), catalog.NewID(started)
	put := func(i int, id string) {
		t.Helper()
		if err := s.beds[i].store.Put(t.Context(), catalog.Path("shop", id, "0000.dbacked"), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	put(0, dead)
	put(1, dead)
	put(2, alive) // of a run under another lock, for all that is known
	// What a place kept of a backup that is complete elsewhere.
	if err := s.beds[1].store.Remove(t.Context(), catalog.Path("shop", first.ID, "manifest")); err != nil {
		t.Fatal(err)
	}
	second, err := s.backup(noise(1000)).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.Previous != first.ID {
		t.Errorf("previous is %s", second.Previous)
	}
	for i, want := range [][]string{nil, nil, {alive}} {
		orphans, err := catalog.Orphans(t.Context(), s.beds[i].store, "shop")
		if err != nil || !slices.Equal(orphans, want) {
			t.Errorf("place %d holds orphans %v, %v", i+1, orphans, err)
		}
	}
}
