package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

var errBroken = errors.New("the tool broke")

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 9<<20 + 7} {
		b := newBed(t)
		plain := noise(n)
		globals := []byte("CREATE ROLE x;\n")
		run := b.backup(Stream{Kind: catalog.KindGlobals, Dump: dumpOf(globals).Dump}, dumpOf(plain))
		m, err := run.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := run.Progress.Snapshot(); s.Plain != int64(n+len(globals)) || s.Stored != m.Files[0].StoredBytes+m.Files[1].StoredBytes {
			t.Errorf("progress is %+v", s)
		}
		if m.Files[1].PlainBytes != int64(n) || m.Files[1].Kind != catalog.KindDump {
			t.Errorf("the manifest says %+v", m.Files[1])
		}
		var back bytes.Buffer
		r := &Restore{File: SealedFile(b.store, m, m.Files[1]), Key: b.key, Proved: true, Target: into(&back)}
		if err := r.Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), plain) {
			t.Errorf("%d bytes: %d came back, %v", n, back.Len(), err)
		}
	}
}

func TestLegacyRoundTrip(t *testing.T) {
	b := newBed(t)
	run := b.backup(dumpOf(noise(2 << 20)))
	run.Format, run.Compression = encryptor.Legacy, compress.Spec{Algorithm: compress.Gzip}
	m, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var back bytes.Buffer
	if err := b.restore(m, into(&back)).Run(t.Context()); err != nil || !bytes.Equal(back.Bytes(), noise(2<<20)) {
		t.Errorf("%d bytes came back, %v", back.Len(), err)
	}
}

func TestFailedDumpLeavesNothing(t *testing.T) {
	for name, dump := range map[string]func(context.Context, io.Writer) error{
		"at once": func(context.Context, io.Writer) error { return errBroken },
		"late": func(_ context.Context, w io.Writer) error {
			w.Write(noise(9 << 20))
			return errBroken
		},
	} {
		b := newBed(t)
		good := dumpOf(noise(100))
		_, err := b.backup(good, Stream{Kind: catalog.KindDump, Dump: dump}).Run(t.Context())
		t.Log(name, err)
		wantStage(t, err, StageDump, errBroken)
		b.nothingLeft()
	}
}

func TestPanicIsAnError(t *testing.T) {
	b := newBed(t)
	_, err := b.backup(Stream{Kind: catalog.KindDump, Dump: func(context.Context, io.Writer) error { panic("no such thing") }}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("error is %v", err)
	}
	b.nothingLeft()
}

func TestEmptyDumpIsNoBackup(t *testing.T) {
	b := newBed(t)
	if _, err := b.backup(dumpOf(nil)).Run(t.Context()); err == nil {
		t.Error("an empty dump became a backup")
	}
	b.nothingLeft()
}

func TestCancelLeavesNothing(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by hand")
	_, err := b.backup(Stream{Kind: catalog.KindDump, Dump: func(ctx context.Context, w io.Writer) error {
		w.Write(noise(5 << 20))
		cancel(stopped)
		<-ctx.Done()
		return context.Cause(ctx)
	}}).Run(ctx)
	if !errors.Is(err, stopped) {
		t.Errorf("error is %v", err)
	}
	b.nothingLeft()
}

// brokenStore fails at a call.
type brokenStore struct {
	storage.Store
	part, put error
}

type brokenWriter struct {
	storage.Writer
	err error
}

func (s *brokenStore) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	return &brokenWriter{w, s.part}, err
}

func (w *brokenWriter) WritePart(ctx context.Context, n int, offset int64, p []byte) error {
	if n >= 2 && w.err != nil {
		return w.err
	}
	return w.Writer.WritePart(ctx, n, offset, p)
}

func (s *brokenStore) Put(ctx context.Context, name string, data []byte) error {
	if s.put != nil {
		return s.put
	}
	return s.Store.Put(ctx, name, data)
}

func TestFailedStoreEndsTheDump(t *testing.T) {
	b := newBed(t)
	full := errors.New("the disk is full")
	b.store = &brokenStore{Store: b.store, part: full}
	ended := false
	_, err := b.backup(Stream{Kind: catalog.KindDump, Dump: func(_ context.Context, w io.Writer) error {
		for {
			if _, err := w.Write(noise(1 << 20)); err != nil {
				ended = true
				return err
			}
		}
	}}).Run(t.Context())
	wantStage(t, err, StageUpload, full)
	if !ended {
		t.Error("the dump was not ended")
	}
	b.nothingLeft()
}

func TestFailedManifestIsNoBackup(t *testing.T) {
	b := newBed(t)
	denied := errors.New("denied")
	b.store = &brokenStore{Store: b.store, put: denied}
	_, err := b.backup(dumpOf(noise(100))).Run(t.Context())
	wantStage(t, err, StageCommit, denied)
	b.nothingLeft()
}

func TestLostLockDoesNotCommit(t *testing.T) {
	b := newBed(t)
	run := b.backup(Stream{Kind: catalog.KindDump, Dump: func(ctx context.Context, w io.Writer) error {
		os.Remove(filepath.Join(b.root, "shop/control/lock"))
		<-ctx.Done() // a dump that takes long enough to be told
		w.Write([]byte("rows"))
		return nil
	}})
	if _, err := run.Run(t.Context()); !errors.Is(err, locker.ErrLost) {
		t.Errorf("error is %v", err)
	}
	if ids := b.ids(); len(ids) != 0 {
		t.Errorf("backups: %v", ids)
	}
}

func TestHeldLock(t *testing.T) {
	b := newBed(t)
	_, release, err := locker.NewFile(filepath.Join(b.root, "shop/control/lock")).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	_, err = b.backup(dumpOf(noise(1))).Run(t.Context())
	wantStage(t, err, StageLock, locker.ErrHeld)
}

func TestNextRunRemovesWhatAKilledOneLeft(t *testing.T) {
	b := newBed(t)
	first := b.made(noise(100))
	orphan := "shop/20200101T000000Z-abcdef"
	if err := b.store.Put(t.Context(), orphan+"/0000.dbacked", []byte("half")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Create(t.Context(), orphan+"/0001.dbacked"); err != nil { // neither committed nor aborted
		t.Fatal(err)
	}
	second := b.made(noise(100))
	if second.Previous != first.ID {
		t.Errorf("previous is %q, want %q", second.Previous, first.ID)
	}
	if ids := b.ids(); !slices.Contains(ids, first.ID) || !slices.Contains(ids, second.ID) || len(ids) != 2 {
		t.Errorf("backups: %v", ids)
	}
	left, err := filepath.Glob(filepath.Join(b.root, orphan, "*"))
	if hidden, _ := filepath.Glob(filepath.Join(b.root, orphan, ".*")); err != nil || len(left)+len(hidden) != 0 {
		t.Errorf("left: %v %v, %v", left, hidden, err)
	}
}

// TestSharedStoreWithoutALease leaves alone what another machine may be writing:
// all but what is older than the orphan age, by the store's clock.
func TestSharedStoreWithoutALease(t *testing.T) {
	b := newBed(t)
	young, old := "20200101T000000Z-abcdef", "20200102T000000Z-abcdef"
	for _, id := range []string{young, old} {
		if err := b.store.Put(t.Context(), catalog.Path("shop", id, "0000.dbacked"), []byte("half")); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(b.root, "shop", old, "0000.dbacked"), then, then); err != nil {
		t.Fatal(err)
	}
	run := b.backup(dumpOf(noise(100)))
	run.OrphanAge = time.Minute
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	orphans, err := catalog.Orphans(t.Context(), b.store, "shop")
	if err != nil || !slices.Equal(orphans, []string{young}) {
		t.Errorf("left: %q, %v", orphans, err)
	}
}

// confirming is a lock that was lost without that its context has ended.
type confirming struct{ Locker }

func (confirming) Confirm(context.Context) error { return locker.ErrLost }

func TestUnconfirmedLockDoesNotCommit(t *testing.T) {
	b := newBed(t)
	run := b.backup(dumpOf(noise(100)))
	run.Locker = confirming{run.Locker}
	_, err := run.Run(t.Context())
	wantStage(t, err, StageCommit, locker.ErrLost)
	b.nothingLeft()
}

// TestListed compares sizes with a listing, and reads nothing.
func TestListed(t *testing.T) {
	b := newBed(t)
	m := b.made(noise(1000))
	listed := func() error {
		t.Helper()
		files, err := (&Verify{Store: b.store}).Listed(t.Context(), m)
		if err != nil || len(files) != 1 || files[0].Opened {
			t.Fatalf("%+v, %v", files, err)
		}
		return files[0].Err
	}
	if err := os.Chmod(b.path(m), 0); err != nil {
		t.Fatal(err)
	}
	if err := listed(); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(b.path(m), 10); err != nil {
		t.Fatal(err)
	}
	if err := listed(); !errors.Is(err, ErrDiffers) {
		t.Errorf("cut: %v", err)
	}
	if err := os.Remove(b.path(m)); err != nil {
		t.Fatal(err)
	}
	if err := listed(); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("gone: %v", err)
	}
}

// TestOneSecondOfBackups makes more than one a second: they are listed as they
// were made.
func TestOneSecondOfBackups(t *testing.T) {
	b := newBed(t)
	var made []string
	for range 6 {
		made = append(made, b.made(noise(100)).ID)
	}
	slices.Reverse(made)
	if got := b.ids(); !slices.Equal(got, made) {
		t.Errorf("listed %v, made %v", got, made)
	}
}
