package rclone

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a back-off for tests: as often, but sooner.
var quick = storage.Backoff{Tries: 3, First: time.Millisecond, Longest: 20 * time.Millisecond}

// bed is a folder that rclone's local backend keeps, and the configuration of
// remotes that lead there.
type bed struct {
	dir    string
	config string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	_, err := exec.LookPath("rclone")
	dbtest.Need(t, "rclone", err)
	b := &bed{dir: filepath.Join(t.TempDir(), "pre fix é"), config: filepath.Join(t.TempDir(), "rclone.conf")}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.remote(t, "store", "type = alias", "remote = "+b.dir)
	return b
}

// remote adds a section to the configuration.
func (b *bed) remote(t *testing.T, name string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(b.config, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, "[%s]\n%s\n", name, strings.Join(lines, "\n"))
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bed) options(remote string) Options {
	return Options{Remote: remote, Config: b.config, Environ: os.Environ(), Backoff: quick}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files are the paths of all files below the bed's folder.
func (b *bed) files(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, _ = filepath.Rel(b.dir, path)
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// scripted lets a shell script run before, or instead of, each run of rclone: it
// can call rclone itself, and ask by "armed NAME", once, whether arm was called.
func scripted(t *testing.T, s *Store, script string) *Store {
	t.Helper()
	const frame = `#!/bin/sh
rclone() { "$RCLONE_PROGRAM" "$@"; }
armed() { rm "${program%%/*}/$1" 2>/dev/null; }
program=$0
%s
exec "$RCLONE_PROGRAM" "$@"
`
	path := filepath.Join(t.TempDir(), "rclone")
	if err := os.WriteFile(path, fmt.Appendf(nil, frame, script), 0o700); err != nil {
		t.Fatal(err)
	}
	s.environ = append(s.environ, "RCLONE_PROGRAM="+s.program)
	s.program = path
	return s
}

func arm(s *Store, name string) {
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.program), name), nil, 0o600); err != nil {
		panic(err)
	}
}
