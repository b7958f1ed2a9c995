package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

// newParallelBed has two tables that are parts of their own, and a small one.
func newParallelBed(t *testing.T) *bed {
	t.Helper()
	b := newBed(t, postgres)
	b.small(1000)
	b.server.SQL(t, b.db, "CREATE TABLE few AS SELECT 1 AS i; CREATE TABLE none (i int)")
	b.configure("DBACKED_LARGE_TABLE", "200kB", "DBACKED_JOBS", "3")
	return b
}

// manifest makes a backup and returns its manifest.
func (b *bed) manifest(args ...string) *catalog.Manifest {
	b.t.Helper()
	var m catalog.Manifest
	b.must(json.Unmarshal([]byte(b.run(append([]string{"backup", "shop", "--json"}, args...)...).ok().out), &m))
	return &m
}

// kindsOf are the kinds of a backup's files in their order.
func kindsOf(m *catalog.Manifest) string {
	var kinds []string
	for _, f := range m.Files {
		kinds = append(kinds, f.Kind)
	}
	return strings.Join(kinds, " ")
}

const inThreeParts = "globals schema data data data contents"

// contentsOf opens the list of tables of a backup.
func (b *bed) contentsOf(m *catalog.Manifest) (c dumper.Contents) {
	b.t.Helper()
	store, err := localdir.Open(b.path("storage"))
	b.must(err)
	defer store.Close()
	key, err := encryptor.ParsePrivateKey(testKeys().private, nil)
	b.must(err)
	open := &pipeline.Restore{
		File: pipeline.SealedFile(store, m, m.Files[len(m.Files)-1]), Key: key, Proved: true,
		Target: func(_ context.Context, r io.Reader) (err error) {
			c, err = dumper.ReadContents(r)
			return err
		},
	}
	b.must(open.Run(b.t.Context()))
	return c
}

// tables are what a list of tables says, without sizes.
func tables(c dumper.Contents) string {
	var all []string
	for _, t := range c.Tables {
		all = append(all, fmt.Sprintf("%s.%s %s %d %t", t.Schema, t.Table, t.Part, t.Rows, t.Counted))
	}
	return strings.Join(all, "\n")
}

func TestParallelBackup(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	m := b.manifest()
	if m.Version != catalog.LayoutSplit || kindsOf(m) != inThreeParts {
		t.Fatalf("layout %d: %s", m.Version, kindsOf(m))
	}
	c := b.contentsOf(m)
	want := "public.a data-1 1000 false\npublic.b data-2 1000 false\npublic.few data 1 false\npublic.none data 0 false"
	if got := tables(c); got != want || !slices.Equal(c.Parts, []string{"data-1", "data-2", "data"}) {
		t.Errorf("parts %q, tables\n%s", c.Parts, got)
	}
	b.run("verify", "shop").ok().says(m.ID, "ok", "decrypted, decompressed")

	b.configure("DBACKED_COUNT_ROWS", "true")
	if got := tables(b.contentsOf(b.manifest())); got != strings.ReplaceAll(want, "false", "true") {
		t.Errorf("counted:\n%s", got)
	}
	for name, settings := range map[string][]string{
		"one job":      {"DBACKED_JOBS", "1"},
		"small tables": {"DBACKED_JOBS", "2", "DBACKED_COUNT_ROWS", "false", "DBACKED_LARGE_TABLE", "1GB"},
	} {
		b.configure(settings...)
		if m := b.manifest(); kindsOf(m) != "globals dump" || m.Version == catalog.LayoutSplit {
			t.Errorf("%s: %s", name, kindsOf(m))
		}
	}
}

// TestParallelNotShared: with options that choose tables, one stream is made, and
// it is said why.
func TestParallelNotShared(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	b.configure("DBACKED_DUMPER_OPTIONS", "--exclude-table-data=b")
	r := b.run("backup", "shop", "--json").ok("one stream", "--exclude-table-data=b")
	var m catalog.Manifest
	b.must(json.Unmarshal([]byte(r.out), &m))
	if kindsOf(&m) != "globals dump" {
		t.Errorf("%s", kindsOf(&m))
	}
}

// TestParallelYields: a backup waits for others no longer than it may, nor has it
// others wait.
func TestParallelYields(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	t.Run("a table is locked", func(t *testing.T) {
		defer b.lockTable("few")()
		b.run("backup", "shop", "--lock-timeout", "300ms").ends(exitAgain, "the dump gave way to others", "a table was locked for longer than 300ms", "DBACKED_BLOCK_LIMIT")
	})
	t.Run("another waits", func(t *testing.T) {
		dumping := b.fifo("dumping")
		b.wrap("pg_dump", `case "$*" in *--table=*) echo > "$BED/dumping"; exec sleep 60;; esac; exec "$REAL" "$@"`)
		defer b.unwrap("pg_dump")
		backup := b.start(nil, "backup", "shop", "--block-limit", "300ms")
		backup.reached(dumping)
		altered := make(chan error, 1)
		go func() {
			_, err := b.server.TrySQL(b.db, "ALTER TABLE few ADD COLUMN j int")
			altered <- err
		}()
		backup.wait().ends(exitAgain, "the dump gave way to others", "ALTER TABLE of the process", "public.few")
		if err := <-altered; err != nil {
			t.Error(err)
		}
	})
	if len(b.list()) != 0 {
		t.Errorf("%q", b.stored())
	}
}

// TestParallelAgent: an agent shows how old the snapshot is and who waits behind
// it, and tries again soon after it gave way; who asked for the backup is told.
func TestParallelAgent(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	b.configure("DBACKED_BLOCK_LIMIT", "2s")
	b.backup() // none is due
	b.fifo("dumping")
	b.wrap("pg_dump", `case "$*" in *--table=*) echo > "$BED/dumping"; exec sleep 60;; esac; exec "$REAL" "$@"`)
	_, running := b.agentOf(newManager(t))
	asked := b.without("DBACKED_CONFIG_DIRECTORY").without("DBACKED_PRIVATE_KEY_FILE").start(nil, "backup", "shop", "--run-directory", b.dir)
	asked.reached(b.path("dumping"))
	altered := make(chan error, 1)
	go func() {
		_, err := b.server.TrySQL(b.db, "ALTER TABLE few ADD COLUMN j int")
		altered <- err
	}()
	awaits(t, running, "who waits", func(s agent.Status) bool {
		return s.BlockedSessions == 1 && s.Running != nil && s.Running.BlockedSessions == 1 && s.Running.SnapshotSeconds > 0
	})
	asked.wait().ends(exitAgain, "the dump gave way to others", "DBACKED_BLOCK_LIMIT")
	s := awaits(t, running, "the end", func(s agent.Status) bool { return s.Failures["dump"] == 1 && s.Next != nil })
	if again := time.Until(*s.Next); !s.Runs[0].Yielded || s.BlockedSessions != 1 || again > 2*time.Minute {
		t.Errorf("tried again in %s: %+v", again, s)
	}
	b.must(<-altered)
}

// TestParallelToService: a service takes several streams at once.
func TestParallelToService(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	s := newService(b, "--public-key", b.path("public.pem"))
	m := b.manifest()
	if kindsOf(m) != inThreeParts {
		t.Errorf("%s", kindsOf(m))
	}
	b.wrap("pg_dump", conflicting)
	if m := b.manifest(); kindsOf(m) != "globals dump" {
		t.Errorf("after conflicts: %s", kindsOf(m))
	}
	if r := s.restorer().run("verify", "shop", "--all").ok(); strings.Count(r.out, "ok") != 2 {
		t.Errorf("%s", r)
	}
}

// conflicting has every dump of a snapshot end as on a standby that goes on with
// what its primary sends.
const conflicting = `case "$*" in *--snapshot=*--section=pre-data*) echo >> "$BED/snapshots"; echo "pg_dump: error: ERROR:  canceling statement due to conflict with recovery" >&2; exit 1;; esac; exec "$REAL" "$@"`

// TestParallelConflict: what a standby breaks off is tried once more, and then made
// in one stream.
func TestParallelConflict(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	b.wrap("pg_dump", conflicting)
	r := b.run("backup", "shop", "--json").ok("the standby broke the dump off", "made anew")
	var m catalog.Manifest
	b.must(json.Unmarshal([]byte(r.out), &m))
	if tries := len(b.read("snapshots")); kindsOf(&m) != "globals dump" || tries != snapshotTries {
		t.Errorf("%s after %d snapshots", kindsOf(&m), tries)
	}
	if ids := b.list(); !slices.Equal(ids, []string{m.ID}) {
		t.Errorf("%q", b.stored())
	}
}
