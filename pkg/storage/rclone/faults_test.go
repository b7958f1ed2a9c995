package rclone

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

// upload writes an object of two parts.
func upload(ctx context.Context, s *Store, name string) error {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	part := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 2 {
		if err = w.WritePart(ctx, i+1, int64(i)<<20, part); err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.Commit(ctx)
	}
	return errors.Join(err, w.Abort(ctx))
}

// TestFaults lets runs of rclone go wrong. What is stored is whole; what fails
// leaves nothing.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   string // of the error; "" for none
	}{
		"the answer to renaming is lost":  {`if [ "$1" = moveto ] && armed it; then rclone "$@"; echo timeout >&2; exit 5; fi`, ""},
		"renaming fails once":             {`if [ "$1" = moveto ] && armed it; then echo "429 slow down" >&2; exit 1; fi`, ""},
		"renaming copies without removal": {`if [ "$1" = moveto ] && armed it; then shift; rclone copyto "$@"; echo oops >&2; exit 1; fi`, ""},
		"renaming does nothing":           {`if [ "$1" = moveto ]; then exit 0; fi`, "it is not listed"},
		"renaming is not allowed":         {`if [ "$1" = moveto ]; then echo "403 Forbidden" >&2; exit 1; fi`, "not allowed"},
		"looking fails twice":             {`if [ "$1" = lsjson ] && { armed it || armed again; }; then echo "dial tcp: i/o timeout" >&2; exit 1; fi`, ""},
		"a byte too many is stored":       {`if [ "$1" = rcat ]; then { cat; echo; } | rclone "$@"; exit; fi`, "2097153 bytes instead of 2097152"},
		"a byte too few is stored":        {`if [ "$1" = rcat ]; then head -c 2097151 | rclone "$@"; cat >/dev/null; exit; fi`, "2097151 bytes instead of 2097152"},
		"other bytes are stored":          {`if [ "$1" = rcat ]; then tr x y | rclone "$@"; exit; fi`, "sha256"},
		"the stream ends early":           {`if [ "$1" = rcat ]; then head -c 5000 | rclone "$@"; exit; fi`, "before it had read all"},
		"the stream breaks":               {`if [ "$1" = rcat ]; then head -c 1500000 | rclone "$@"; echo "connection reset" >&2; exit 5; fi`, "cannot be taken up again"},
		"rclone is killed":                {`if [ "$1" = rcat ]; then head -c 1500000 >/dev/null; kill -9 $$; fi`, "killed"},
		"rclone fails at the end":         {`if [ "$1" = rcat ]; then rclone "$@"; echo "corrupted on transfer" >&2; exit 1; fi`, "corrupted on transfer"},
		"rclone is too old":               {`if [ "$1" = lsjson ]; then echo "Error: unknown flag: --stat" >&2; exit 1; fi`, "1.57 or newer"},
		"rclone answers nonsense":         {`if [ "$1" = lsjson ]; then echo "<html>"; exit 0; fi`, "not understood"},
		"it cannot rename":                {`if [ "$1" = backend ]; then echo '{"Features":{"PutStream":true}}'; exit 0; fi`, "neither move nor copy"},
		"a checksum in other words":       {`if [ "$1" = backend ]; then echo '{"Hashes":["md5","crc32"],"Features":{"PutStream":true,"Move":true}}'; exit 0; fi`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			s := scripted(t, open(t, b.options("store:")), test.script)
			arm(s, "it")
			arm(s, "again")
			err := upload(t.Context(), s, "db/1/0000")
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("error %v, want %q", err, test.want)
			}
			want := []string{"db/1/0000"}
			if test.want != "" {
				want = nil
			}
			if strings.Contains(test.script, "lsjson ]; then") {
				return // what is there cannot be told from here
			}
			if got := b.files(t); !slices.Equal(got, want) {
				t.Errorf("there is %q, want %q", got, want)
			}
		})
	}
}

// TestFirstPartAgain shows that a stream that breaks off in its first part begins
// anew.
func TestFirstPartAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := scripted(t, open(t, b.options("store:")), `if [ "$1" = rcat ] && armed it; then head -c 1000 >/dev/null; echo "connection reset" >&2; exit 1; fi`)
	arm(s, "it")
	w, err := s.Create(t.Context(), "db/x")
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat([]byte("x"), 1<<20)
	err = w.WritePart(t.Context(), 1, 0, part)
	if _, temporary := errors.AsType[*storage.TemporaryError](err); !temporary {
		t.Fatalf("error %v", err)
	}
	if err := w.WritePart(t.Context(), 1, 0, part); err != nil {
		t.Fatal(err)
	}
	if o, err := w.Commit(t.Context()); err != nil || o.Size != 1<<20 {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestStall ends a run that neither gives nor takes anything.
func TestStall(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	o := b.options("store:")
	o.Stall = 300 * time.Millisecond
	for name, script := range map[string]string{
		"writing": `if [ "$1" = rcat ]; then exec sleep 600; fi`,
		"looking": `if [ "$1" = lsjson ]; then exec sleep 600; fi`,
	} {
		o.Stall = 5 * time.Second // the real runs have to end within it
		s := open(t, o)
		if _, err := s.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = scripted(t, s, script)
		s.options.Stall = 300 * time.Millisecond
		if name == "writing" {
			s.options.Stall = time.Second
		}
		err := upload(t.Context(), s, "db/x")
		if err == nil || !strings.Contains(err.Error(), "did nothing for") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "o"), []byte("some"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := scripted(t, open(t, b.options("store:")), `if [ "$1" = cat ]; then exec sleep 600; fi`)
	r, err := s.Open(t.Context(), "o", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.options.Stall = 50 * time.Millisecond
	if _, err := r.Read(make([]byte, 4)); err == nil || !strings.Contains(err.Error(), "did nothing for") {
		t.Errorf("reading: %v", err)
	}
}

// TestDiskFull stores more than there is room for.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	dbtest.Need(t, "the right to mount", unix.Mount("tmpfs", b.dir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { unix.Unmount(b.dir, unix.MNT_DETACH) })
	err := upload(t.Context(), open(t, b.options("store:")), "db/x")
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
	if left := b.files(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestChanged lets an object change while a read of it begins anew.
func TestChanged(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := scripted(t, open(t, b.options("store:")), `if [ "$1" = cat ]; then head -c 10 "$FILE"; echo y >>"$FILE"; exit 5; fi`)
	file := filepath.Join(b.dir, "o")
	s.environ = append(s.environ, "FILE="+file)
	if err := os.WriteFile(file, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "o", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("error %v", err)
	}
}

// TestWaitingPart lets a part wait for one that never comes.
func TestWaitingPart(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := open(t, b.options("store:"))
	w, err := s.Create(t.Context(), "db/x")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error, 2)
	for _, ctx := range []context.Context{ctx, t.Context()} {
		go func() { failed <- w.WritePart(ctx, 2, 1, []byte("x")) }()
	}
	cancel(cause)
	if err := <-failed; !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, errAborted) {
		t.Errorf("error %v", err)
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("an aborted object was committed")
	}
}

// TestOrphanAge removes hidden files that are old, and nothing else.
func TestOrphanAge(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := open(t, b.options("store:"))
	old, young := storage.HiddenName("db/1/0000"), storage.HiddenName("db/2/0000")
	for _, name := range []string{old, young, "db/1/0001", "db/.hidden", "db/.x.tmp-short", "db2/" + filepath.Base(old)} {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != young {
			eightDays := time.Now().Add(-8 * 24 * time.Hour)
			if err := os.Chtimes(path, eightDays, eightDays); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "db/3/empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := s.RemoveUnfinished(t.Context(), "db/")
	if err != nil || !slices.Equal(names, []string{"db/1/0000"}) {
		t.Errorf("%q, %v", names, err)
	}
	want := []string{"db/.hidden", "db/.x.tmp-short", "db/1/0001", young, "db2/" + filepath.Base(old)}
	if got := b.files(t); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "db/3")); !os.IsNotExist(err) {
		t.Errorf("an empty folder is left: %v", err)
	}
}

// TestVanished lets a folder vanish while it is listed: what is left is listed, not
// nothing.
func TestVanished(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ script, want string }{
		"once":   {`if [ "$4" = --recursive ] && armed it; then echo "["; echo "error listing: directory not found" >&2; exit 3; fi`, ""},
		"always": {`if [ "$4" = --recursive ]; then echo "["; echo "error listing: directory not found" >&2; exit 3; fi`, "vanished while"},
	} {
		b := newBed(t)
		s := scripted(t, open(t, b.options("store:")), test.script)
		filled{s, b}.Fill(t, []string{"db/1/manifest"}, []byte("x"))
		arm(s, "it")
		list, err := s.List(t.Context(), "db/")
		switch {
		case test.want == "" && (err != nil || len(list) != 1):
			t.Errorf("%s: %v, %v", name, list, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// TestTakenBack aborts where renaming was done and its answer, and what is there now,
// got lost, in a remote that keeps no checksum.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"renamed": `if [ "$1" = moveto ]; then touch "${program%/*}/moved"; rclone "$@"; echo "broken" >&2; exit 1; fi`,
		"copied":  `if [ "$1" = moveto ]; then touch "${program%/*}/moved"; shift; rclone copyto "$@"; echo "broken" >&2; exit 1; fi`,
	} {
		b := newBed(t)
		b.remote(t, "far", "type = crypt", "filename_encryption = off", "directory_name_encryption = false", "remote = "+b.dir, "password = "+obscured(t, "a password"))
		s := scripted(t, open(t, b.options("far:")), script+`
if [ "$1" = lsjson ] && [ "$4" = --files-only ] && [ -e "${program%/*}/moved" ] && armed it; then echo "not now" >&2; exit 1; fi`)
		arm(s, "it")
		if err := upload(t.Context(), s, "db/x"); err == nil {
			t.Errorf("%s: it was stored", name)
		}
		if left := b.files(t); len(left) > 0 {
			t.Errorf("%s: left behind: %q", name, left)
		}
	}
}

// TestUnknownTime keeps a hidden file whose time the remote does not know.
func TestUnknownTime(t *testing.T) {
	for text, want := range map[string]bool{"0001-01-01T00:00:00Z": false, "1970-01-01T00:00:00Z": false, "2001-02-03T00:00:00Z": true} {
		at, err := time.Parse(time.RFC3339, text)
		if got := olderThan(entry{ModTime: at}, time.Hour); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// TestNull looks at an object where rclone says null of what is not there.
func TestNull(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	s := scripted(t, open(t, b.options("store:")), `if [ "$1" = lsjson ]; then echo null; exit 0; fi`)
	if _, err := s.Open(t.Context(), "db/x", 0); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
