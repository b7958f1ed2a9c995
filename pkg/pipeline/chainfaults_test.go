package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage"
)

// breaksLate is a dump that fails when files of its chain are stored.
func (b *bed) breaksLate() Stream {
	return Stream{Kind: catalog.KindDump, Dump: func(ctx context.Context, w io.Writer) error {
		for {
			if _, err := w.Write(noise(1 << 20)); err != nil {
				return err
			}
			if objects, err := b.store.List(ctx, "shop/2"); err != nil || len(objects) > 2 {
				return errors.Join(errBroken, err)
			}
		}
	}}
}

// TestFailureInASegmentLeavesNothing fails the dump, and the store, when files
// of the chain are stored already.
func TestFailureInASegmentLeavesNothing(t *testing.T) {
	b := newTightBed(t)
	_, err := b.uncompressed(dumpOf(noise(100)), b.breaksLate())
	wantStage(t, err, StageDump, errBroken)
	b.nothingLeft()

	b.store = &secondFails{Store: b.store}
	_, err = b.uncompressed(dumpOf(b.stored(3 * segment)))
	wantStage(t, err, StageUpload, errBroken)
	b.nothingLeft()
}

// secondFails is a store that takes no second file.
type secondFails struct {
	storage.Store
	files int
}

func (s *secondFails) Limits() storage.Limits { return tightStore{}.Limits() }

func (s *secondFails) Create(ctx context.Context, name string) (storage.Writer, error) {
	if s.files++; s.files == 2 {
		return nil, errBroken
	}
	return s.Store.Create(ctx, name)
}

// noRemoval is a store that lets nobody remove anything.
type noRemoval struct{ tightStore }

func (noRemoval) Remove(context.Context, string) error { return errBroken }

// TestOrphanedSegments leaves the files of a failed run where they are: the next
// one removes them all.
func TestOrphanedSegments(t *testing.T) {
	b := newTightBed(t)
	good := b.store
	b.store = noRemoval{tightStore{good}}
	run := b.backup(b.breaksLate())
	run.Compression = compress.Spec{Algorithm: compress.None}
	core, logged := observer.New(zap.WarnLevel)
	run.Log = zap.New(core)
	_, err := run.Run(t.Context())
	wantStage(t, err, StageDump, errBroken)
	if n := logged.Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	orphans, err := catalog.Orphans(t.Context(), good, "shop")
	if err != nil || len(orphans) != 1 {
		t.Fatalf("orphans are %v, %v", orphans, err)
	}
	b.store = good
	m := b.chained()
	if left, err := os.ReadDir(filepath.Join(b.root, "shop", orphans[0])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v, %v", left, err)
	}
	b.wantVerified(m, nil)
}

func TestLegacyMustFit(t *testing.T) {
	b := newTightBed(t)
	run := b.backup(dumpOf(noise(2 * segment)))
	run.Format, run.Compression = encryptor.Legacy, compress.Spec{Algorithm: compress.Gzip}
	_, err := run.Run(t.Context())
	if wantStage(t, err, StageUpload, err); err == nil || !strings.Contains(err.Error(), "legacy format it must be one") {
		t.Errorf("error is %v", err)
	}
	b.nothingLeft()
}

func TestTooManyFiles(t *testing.T) {
	b := newTightBed(t)
	files := newBook(1)
	files.begun = catalog.MaxFiles
	if _, err := b.backup().next(chapter{book: files}, catalog.KindDump, true); err == nil || len(files.inOrder()) > 0 {
		t.Errorf("error is %v, with %d files", err, len(files.inOrder()))
	}
}

func TestBudgetThatCannotBeKept(t *testing.T) {
	b := newTightBed(t)
	b.store = wideStore{b.store}
	run := b.backup(dumpOf(noise(10)))
	run.UploadBudget = 1 << 20
	_, err := run.Run(t.Context())
	if wantStage(t, err, StageUpload, err); err == nil || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("error is %v", err)
	}
	b.nothingLeft()
}

type wideStore struct{ storage.Store }

func (wideStore) Limits() storage.Limits { return storage.Limits{MinPart: 5 << 20} }

// lostAnswer is a store that keeps a manifest and says that it failed.
type lostAnswer struct {
	storage.Store
	removed []string
}

func (s *lostAnswer) Put(ctx context.Context, name string, data []byte) error {
	return errors.Join(errBroken, s.Store.Put(ctx, name, data))
}

func (s *lostAnswer) Remove(ctx context.Context, name string) error {
	s.removed = append(s.removed, filepath.Base(name))
	return s.Store.Remove(ctx, name)
}

// TestManifestWhoseAnswerIsLost never leaves a manifest without its files.
func TestManifestWhoseAnswerIsLost(t *testing.T) {
	b := newBed(t)
	s := &lostAnswer{Store: b.store}
	b.store = s
	_, err := b.backup(dumpOf(noise(100))).Run(t.Context())
	wantStage(t, err, StageCommit, errBroken)
	if !slices.Equal(s.removed, []string{"manifest", "0000.dbacked"}) {
		t.Errorf("removed were %q", s.removed)
	}
	b.nothingLeft()
}

// TestChainOpensWithoutDbacked puts a chain together as the page on that says.
func TestChainOpensWithoutDbacked(t *testing.T) {
	dbtest.Need(t, "python3-cryptography", exec.CommandContext(t.Context(), "python3", "-c", "import cryptography").Run())
	b := newTightBed(t)
	m := b.chained()
	var whole bytes.Buffer
	for i := 1; i < len(m.Files); i++ {
		data, err := os.ReadFile(b.file(m, i))
		if err != nil {
			t.Fatal(err)
		}
		whole.Write(data)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "../../packaging/open-backup.py", "../encryptor/testdata/vectors/v1/small.private.pem")
	cmd.Stdin = &whole
	plain, err := cmd.Output()
	if err != nil || !bytes.Equal(plain, b.stored(3*segment+part)) {
		t.Errorf("%d bytes came out, %v", len(plain), err)
	}
}
