package pruner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// breaks is a store that fails as it is told.
type breaks struct {
	Remover
	err func(r files.Ref) error
	n   int // calls
}

func (s *breaks) Remove(ctx context.Context, r files.Ref, upload string) error {
	s.n++
	if err := s.err(r); err != nil {
		return err
	}
	return s.Remover.Remove(ctx, r, upload)
}

// several is a backup of three files that failed.
func (b *bed) several() *made {
	b.t.Helper()
	m := b.begin()
	for i := range 2 {
		f, err := b.stores[0].AskPart(b.t.Context(), b.project.ID, m.id, "a", fmt.Sprint("file-", i), records.Part{Number: 1, MD5: m.md5()}, b.now())
		b.ok(err)
		_, err = b.files.Put(b.t.Context(), files.Ref{Project: b.project.ID, Backup: m.id, Number: f.Number}, m.content)
		b.ok(err)
	}
	b.fail(m)
	b.passes(time.Hour)
	return m
}

func (b *bed) left(m *made) (n int) {
	b.t.Helper()
	for number := range 4 {
		if _, err := b.files.Read(context.WithoutCancel(b.t.Context()), files.Ref{Project: b.project.ID, Backup: m.id, Number: number}, 1<<20); err == nil {
			n++
		}
	}
	return n
}

// testStoreFails: what cannot be removed is said once, shown, and tried at each turn.
func testStoreFails(t *testing.T, s servers) {
	onEach(t, s, 1, func(t *testing.T, b *bed) {
		m := b.several()
		broken := &breaks{Remover: b.files, err: func(files.Ref) error { return errors.New("the disk is read-only") }}
		b.pruners[0].files = broken
		for range 3 {
			b.sweep()
			b.passes(5 * time.Minute)
		}
		got, err := b.stores[0].Backup(t.Context(), b.project.ID, m.id)
		b.ok(err)
		if got.Removal.Phase != records.PhaseRemoving || !strings.Contains(got.Removal.Error, "read-only") || b.left(m) != 2 {
			t.Errorf("%+v, %d files", got.Removal, b.left(m))
		}
		if n := b.log.FilterMessageSnippet("could not be removed").Len(); n != 1 || broken.n != 3 {
			t.Errorf("said %d times of %d", n, broken.n)
		}
		broken.err = func(files.Ref) error { return nil }
		b.sweep()
		got, err = b.stores[0].Backup(t.Context(), b.project.ID, m.id)
		b.ok(err)
		if got.Removal.Phase != records.PhaseRemoved || got.Removal.Error != "" || b.left(m) != 0 {
			t.Errorf("%+v, %d files", got.Removal, b.left(m))
		}
		b.passes(25 * time.Hour)
		b.sweep() // once more
		b.passes(100 * time.Hour)
		broken.n = 0
		b.sweep()
		if n, err := b.stores[0].CountStored(t.Context(), b.project.ID); err != nil || n != 0 || broken.n != 0 {
			t.Errorf("%d may have files: %v; %d were removed again", n, err, broken.n)
		}
	})
}

// TestLockedHoldUpNone: however many cannot be removed, the others are.
func TestLockedHoldUpNone(t *testing.T) {
	onOne(t, func(t *testing.T, b *bed) {
		locked := map[string]bool{}
		for range mostFailures + 2 {
			m := b.begin()
			b.fail(m)
			locked[m.id] = true
		}
		b.passes(time.Hour)
		b.pruners[0].files = &breaks{Remover: b.files, err: func(r files.Ref) error {
			if locked[r.Backup] {
				return errors.New("it is locked")
			}
			return nil
		}}
		for range 3 {
			b.sweep()
			b.passes(5 * time.Minute)
		}
		m := b.begin()
		b.fail(m)
		b.passes(time.Hour)
		b.sweep()
		b.is(m, records.StateFailed, records.PhaseRemoved)
		if n := b.log.FilterMessageSnippet("could not be removed").Len(); n != len(locked) {
			t.Errorf("said %d times of %d", n, len(locked))
		}
	})
}
