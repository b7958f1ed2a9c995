package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

func ids(entries []Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return all
}

func TestCommitAndList(t *testing.T) {
	s, _ := store(t)
	by, trust := signer(t)
	if entries, err := List(t.Context(), s, "mydb", trust); err != nil || len(entries) != 0 {
		t.Errorf("an empty store: %v, %v", entries, err)
	}
	backUp(t, s, id1, by)
	backUp(t, s, id2, by)
	for _, name := range []string{"mydb/control/lock", "mydb/notes/manifest", "mydb2/" + id1 + "/manifest", "mydb/" + id1 + "-x/manifest", "mydb/manifest"} {
		ok(t, s.Put(t.Context(), name, []byte("not ours")))
	}
	entries := must[[]Entry](t)(List(t.Context(), s, "mydb", trust))
	if diff := cmp.Diff([]Entry{{ID: id2, Manifest: manifest(id2)}, {ID: id1, Manifest: manifest(id1)}}, entries); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if id := must[string](t)(Newest(t.Context(), s, "mydb")); id != id2 {
		t.Errorf("the newest is %q", id)
	}
	if id := must[string](t)(Newest(t.Context(), s, "none")); id != "" {
		t.Errorf("the newest of none is %q", id)
	}
}

// TestRecent leaves out what is not proved, and reads no more than it is asked for.
func TestRecent(t *testing.T) {
	s, dir := store(t)
	by, trust := signer(t)
	other, _ := signer(t)
	const id0, id3 = "20261121T215643Z-000000", "20261124T215643Z-000003"
	for _, id := range []string{id0, id1, id2} {
		backUp(t, s, id, by)
	}
	backUp(t, s, id3, other)
	rewrite(t, dir, "mydb/"+id0+"/manifest", replaced("dbacked", "garbage"))
	for n, want := range [][]string{nil, {id2}, {id2, id1}, {id2, id1}} {
		var got []string
		for _, m := range must[[]*Manifest](t)(Recent(t.Context(), s, "mydb", trust, n)) {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d of them (-want +got):\n%s", n, diff)
		}
	}
	if got := must[[]*Manifest](t)(Recent(t.Context(), broken{s, "mydb/" + id0 + "/manifest", errors.New("read too much")}, "mydb", trust, 2)); len(got) != 2 {
		t.Errorf("%d of two", len(got))
	}
	forbidden := broken{s, "mydb/" + id2 + "/manifest", storage.ErrForbidden}
	if _, err := Recent(t.Context(), forbidden, "mydb", trust, 1); !errors.Is(err, storage.ErrForbidden) {
		t.Errorf("a manifest that may not be read: %v", err) // else a backup would seem to be due for ever
	}
}

// TestAbandoned leaves alone what a live run on another machine may own, whatever
// the clock here says.
func TestAbandoned(t *testing.T) {
	s, dir := store(t)
	by, _ := signer(t)
	const old, live, dead = "20261101T000000Z-000001", "20261122T000000Z-000002", "20261122T000000Z-000003"
	now := time.Now().Add(300 * 24 * time.Hour) // by the store's clock
	for id, age := range map[string]time.Duration{old: 8 * 24 * time.Hour, live: 6 * time.Hour, dead: 6 * time.Hour, id1: 20 * 24 * time.Hour} {
		if id == id1 {
			backUp(t, s, id, by)
		} else {
			ok(t, s.Put(t.Context(), Path("mydb", id, "0000.dbacked"), []byte("one")))
		}
		ok(t, os.Chtimes(filepath.Join(dir, "mydb", id, "0000.dbacked"), now.Add(-age), now.Add(-age)))
	}
	ok(t, s.Put(t.Context(), "mydb/control/lease", []byte("held")))
	ok(t, os.Chtimes(filepath.Join(dir, "mydb/control/lease"), now, now))
	got := must[[]string](t)(Abandoned(t.Context(), s, "mydb", 7*24*time.Hour, []string{dead, id1, "../x"}))
	slices.Sort(got)
	if diff := cmp.Diff([]string{old, dead}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ok(t, RemoveFiles(t.Context(), s, "mydb", got))
	if left := must[[]string](t)(Orphans(t.Context(), s, "mydb")); len(left) != 1 || left[0] != live {
		t.Errorf("left: %v", left)
	}
	if err := RemoveFiles(t.Context(), s, "mydb", []string{"../mydb2"}); err == nil {
		t.Error("a name that is no id is taken")
	}
}

func TestCommitOnlyOnce(t *testing.T) {
	s, _ := store(t)
	by, trust := signer(t)
	backUp(t, s, id1, by)
	m := manifest(id1)
	m.AgentID = "another"
	if err := Commit(t.Context(), s, m, by); !errors.Is(err, storage.ErrExists) {
		t.Errorf("error %v", err)
	}
	if e := must[Entry](t)(Load(t.Context(), s, "mydb", id1, trust)); e.Manifest.AgentID != "agent" {
		t.Error("the manifest was overwritten")
	}
}

func TestNoSuchBackup(t *testing.T) {
	s, _ := store(t)
	ok(t, s.Put(t.Context(), Path("mydb", id1, "0000.dbacked"), []byte("one")))
	for _, id := range []string{id1, id2, "", "..", "../mydb/" + id1, "control"} {
		if _, err := Load(t.Context(), s, "mydb", id, nil); !errors.Is(err, ErrNoBackup) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestOneSecond: backups of one second have the order of their ids, whatever the
// store's dates say, and those of one instance the order in which they were made.
func TestOneSecond(t *testing.T) {
	s, dir := store(t)
	by, trust := signer(t)
	first, second := "20261122T215643Z-000000", "20261122T215643Z-ffffff"
	backUp(t, s, second, by)
	backUp(t, s, first, by)
	path := filepath.Join(dir, "mydb", first, "manifest")
	later := must[os.FileInfo](t)(os.Stat(path)).ModTime().Add(1e9)
	ok(t, os.Chtimes(path, later, later))
	if diff := cmp.Diff([]string{second, first}, ids(must[[]Entry](t)(List(t.Context(), s, "mydb", trust)))); diff != "" {
		t.Error(diff)
	}
	now := time.Date(2026, 11, 22, 21, 56, 43, 999, time.UTC)
	newest := second
	for range 20 { // a random end would be in order once in a million times
		id := NextID(now, newest)
		if id <= newest {
			t.Fatalf("%s after %s", id, newest)
		}
		newest = id
	}
	for newest, want := range map[string]string{
		"": "20261122T215643Z", "garbage": "20261122T215643Z", "20261122T215642Z-ffffff": "20261122T215643Z",
		second: "20261122T215644Z", "20261122T215700Z-ffffff": "20261122T215701Z",
		"20261122T215743Z-ffffff": "20261122T215643Z", "20991231T235959Z-ffffff": "20261122T215643Z", // not to be followed
	} {
		if id := NextID(now, newest); !strings.HasPrefix(id, want+"-") {
			t.Errorf("%s after %q, not %s", id, newest, want)
		}
	}
}

// TestMisplaced copies a good manifest to where another backup lies.
func TestMisplaced(t *testing.T) {
	s, dir := store(t)
	by, trust := signer(t)
	backUp(t, s, id1, by)
	data := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "mydb", id1, "manifest")))
	ok(t, s.Put(t.Context(), Path("mydb", id2, "manifest"), data))
	ok(t, s.Put(t.Context(), Path("other", id1, "manifest"), data))
	for _, at := range [][2]string{{"mydb", id2}, {"other", id1}} {
		e := must[Entry](t)(Load(t.Context(), s, at[0], at[1], trust))
		if !errors.Is(e.Proof, ErrMisplaced) || !errors.Is(e.Proof, ErrUnproved) || !strings.Contains(e.Proof.Error(), id1+" of mydb") {
			t.Errorf("%s: %v", at, e.Proof)
		}
		if e.Manifest.Instance != at[0] || e.Manifest.ID != at[1] {
			t.Errorf("%s: its files would be looked for in %s/%s", at, e.Manifest.Instance, e.Manifest.ID)
		}
		e = must[Entry](t)(Load(t.Context(), s, at[0], at[1], nil))
		if !errors.Is(e.Proof, ErrMisplaced) || !errors.Is(e.Proof, ErrUntrusted) {
			t.Errorf("%s, by an unknown key: %v", at, e.Proof)
		}
	}
}

// TestDamagedAmongGood lists a good backup beside those of which each is
// damaged in its own way: none hides another.
func TestDamagedAmongGood(t *testing.T) {
	s, dir := store(t)
	by, trust := signer(t)
	other, _ := signer(t)
	kinds := map[string]error{
		"20261101T000000Z-000000": ErrAltered, "20261102T000000Z-000000": ErrGarbage, "20261103T000000Z-000000": ErrUntrusted,
		"20261104T000000Z-000000": ErrGarbage, "20261105T000000Z-000000": nil, "20261106T000000Z-000000": ErrGarbage,
	}
	for id, kind := range kinds {
		backUp(t, s, id, map[bool]*Signer{true: other, false: by}[kind == ErrUntrusted])
	}
	rewrite(t, dir, "mydb/20261101T000000Z-000000/manifest", replaced(`"zstd:1"`, `"zstd:2"`))
	rewrite(t, dir, "mydb/20261102T000000Z-000000/manifest", func(b []byte) []byte { return b[:100] })
	rewrite(t, dir, "mydb/20261104T000000Z-000000/manifest", func([]byte) []byte { return make([]byte, 3<<20) })
	eio := broken{s, "mydb/20261106T000000Z-000000/manifest", syscall.EIO}
	entries := must[[]Entry](t)(List(t.Context(), eio, "mydb", trust))
	if len(entries) != len(kinds) {
		t.Fatalf("listed: %q", ids(entries))
	}
	for _, e := range entries {
		if !errors.Is(e.Proof, kinds[e.ID]) || (e.Manifest == nil) != (kinds[e.ID] == ErrGarbage) {
			t.Errorf("%s: %v, want %v", e.ID, e.Proof, kinds[e.ID])
		}
	}
	if !errors.Is(entries[0].Proof, syscall.EIO) {
		t.Errorf("what the store said is lost: %v", entries[0].Proof)
	}
	if _, err := Load(t.Context(), eio, "mydb", entries[0].ID, trust); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrUnproved) {
		t.Errorf("loading what the store cannot read: %v", err)
	}
}

func TestListEndsWithItsContext(t *testing.T) {
	s, _ := store(t)
	by, trust := signer(t)
	backUp(t, s, id1, by)
	ctx, cancel := context.WithCancel(t.Context())
	cut := broken{s, "", nil}
	cancel()
	if _, err := List(ctx, cut, "mydb", trust); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOrphans(t *testing.T) {
	s, _ := store(t)
	by, _ := signer(t)
	backUp(t, s, id1, by)
	ok(t, s.Put(t.Context(), Path("mydb", id2, "0000.dbacked"), []byte("half")))
	ok(t, s.Put(t.Context(), Path("mydb", id2, "0001.dbacked"), []byte("half")))
	ok(t, s.Put(t.Context(), "mydb/control/lock", []byte("lock")))
	ok(t, s.Put(t.Context(), Path("mydb2", id2, "0000.dbacked"), []byte("of another")))
	if got := must[[]string](t)(Orphans(t.Context(), s, "mydb")); !cmp.Equal(got, []string{id2}) {
		t.Errorf("orphans: %q", got)
	}
	if got := must[[]string](t)(RemoveOrphans(t.Context(), s, "mydb")); !cmp.Equal(got, []string{id2}) {
		t.Errorf("removed: %q", got)
	}
	want := []string{"mydb/" + id1 + "/0000.dbacked", "mydb/" + id1 + "/0001.dbacked", "mydb/" + id1 + "/manifest", "mydb/control/lock", "mydb2/" + id2 + "/0000.dbacked"}
	if diff := cmp.Diff(want, names(t, s)); diff != "" {
		t.Error(diff)
	}
}

// stuck is a store that removes one object and then no other.
type stuck struct {
	storage.Store
	removed []string
}

func (s *stuck) Remove(ctx context.Context, name string) error {
	if len(s.removed) == 1 {
		return syscall.EIO
	}
	s.removed = append(s.removed, name)
	return s.Store.Remove(ctx, name)
}

// TestRemoveInterrupted stops a removal in the middle: what is left is no
// backup but an orphan, which the next run removes.
func TestRemoveInterrupted(t *testing.T) {
	s, _ := store(t)
	by, trust := signer(t)
	backUp(t, s, id1, by)
	if err := Remove(t.Context(), &stuck{Store: s}, "mydb", id1); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
	if entries := must[[]Entry](t)(List(t.Context(), s, "mydb", trust)); len(entries) != 0 {
		t.Errorf("still a backup: %v", entries)
	}
	if got := must[[]string](t)(Orphans(t.Context(), s, "mydb")); !cmp.Equal(got, []string{id1}) {
		t.Errorf("orphans: %q", got)
	}
	ok(t, Remove(t.Context(), s, "mydb", id1))
	if got := names(t, s); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if err := Remove(t.Context(), s, "mydb", "../x"); err == nil {
		t.Error("what is no id was removed")
	}
}
