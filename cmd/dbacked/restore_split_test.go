package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// split makes a backup of the bed's database in parts; change is what its list of
// tables says wrongly.
func (b *bed) split(change func(*dumper.Contents)) *catalog.Manifest {
	b.t.Helper()
	db := dumper.NewPostgres(dumper.Connection{Host: "127.0.0.1", Port: b.server.Port, Username: b.e.tester, Password: password, Database: b.db},
		dumper.Limits{Lock: 20 * time.Second}, dumper.Tools{}, nil)
	return b.putPlan(func(ctx context.Context) (plan pipeline.Plan, err error) {
		s, err := db.Snapshot(ctx, dumper.SnapshotOptions{Jobs: 4, Large: 100 << 10})
		if err != nil {
			return plan, err
		}
		plan.Streams = []pipeline.Stream{{Kind: catalog.KindGlobals, Dump: func(ctx context.Context, w io.Writer) error {
			_, err := db.DumpGlobals(ctx, w)
			return err
		}}}
		contents := dumper.Contents{}
		for _, part := range s.Parts() {
			kind := catalog.KindSchema
			if !part.Definitions {
				kind = catalog.KindData
				contents.Parts = append(contents.Parts, part.Name)
			}
			plan.Streams = append(plan.Streams, pipeline.Stream{Kind: kind, Dump: func(ctx context.Context, w io.Writer) error { return s.Dump(ctx, part, w) }})
		}
		plan.Last = []pipeline.Stream{{Kind: catalog.KindContents, Dump: func(_ context.Context, w io.Writer) error {
			contents.Tables = s.Contents()
			if change != nil {
				change(&contents)
			}
			return dumper.WriteContents(w, contents)
		}}}
		plan.Jobs, plan.Close = 2, s.Close
		return plan, nil
	})
}

// ofKind are the paths of a backup's files of a kind.
func (b *bed) ofKind(m *catalog.Manifest, kind string) (paths []string) {
	for _, f := range m.Files {
		if f.Kind == kind {
			paths = append(paths, "storage/shop/"+m.ID+"/"+f.Name)
		}
	}
	return paths
}

// TestRestoreSplit restores what was made in parallel, into a database that the
// restore makes and into one that is there.
func TestRestoreSplit(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(1000)
	m := b.split(nil)
	original := b.server.PlainDump(t, b.db)
	for _, args := range [][]string{{"--create", "--jobs", "2", "--db-name", "new_" + b.db}, {"--db-name", b.emptyDatabase()}} {
		b.run(append([]string{"restore", "shop", m.ID, "-y"}, args...)...).ok("restored into", "2000 rows of 2 tables, as many as were backed up")
		name := args[len(args)-1]
		if got := b.server.PlainDump(t, name); got != original {
			t.Errorf("%s: what came back in %s differs: %d bytes instead of %d", args, name, len(got), len(original))
		}
	}
	b.run("restore", "shop", m.ID, "-y", "--jobs", "-1").ends(exitUsage)
}

// TestRestoreSplitFails: a backup in parts of which something is not as it was
// made leaves nothing behind.
func TestRestoreSplitFails(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(1000)
	m := b.split(nil)
	data := b.ofKind(m, catalog.KindData)
	if len(data) != 3 {
		t.Fatalf("%d files with data", len(data))
	}
	exchange := func(t *testing.T, one, other string) {
		t.Helper()
		first, second := b.read(one), b.read(other)
		b.must(os.Chmod(b.path(one), 0o600))
		b.must(os.Chmod(b.path(other), 0o600))
		b.write(one, second)
		b.write(other, first)
	}
	fails := func(t *testing.T, m *catalog.Manifest, words ...string) {
		t.Helper()
		name := "new_" + b.db
		b.run("restore", "shop", m.ID, "-y", "--create", "--db-name", name).ends(exitDamaged, append(words, "was dropped again")...)
		if b.exists(name) {
			t.Error("the new database is there")
		}
		empty := b.emptyDatabase()
		b.run("restore", "shop", m.ID, "-y", "--db-name", empty).ends(exitDamaged, append(words, "nothing was changed")...)
		b.wantEmpty(empty)
	}
	t.Run("files are exchanged", func(t *testing.T) {
		exchange(t, data[0], data[1])
		fails(t, m, "restoring the part ", "differs from its manifest")
		exchange(t, data[0], data[1])
	})
	t.Run("a file is missing", func(t *testing.T) {
		b.must(os.Rename(b.path(data[1]), b.path("away")))
		fails(t, m, "restoring the part ", filepath.Base(data[1]))
		b.must(os.Rename(b.path("away"), b.path(data[1])))
	})
	t.Run("a count differs", func(t *testing.T) {
		fails(t, b.split(func(c *dumper.Contents) { c.Tables[0].Rows-- }), "what came back is not what was backed up", "the table public.a has 1000 rows instead of 999")
	})
	t.Run("a table is in no part", func(t *testing.T) {
		fails(t, b.split(func(c *dumper.Contents) {
			c.Tables = append(c.Tables, dumper.TableContent{Schema: "public", Table: "c", Part: "data"})
		}), "the table public.c is not in its part")
	})
}

// TestNewDatabase restores beside a database: it is replaced when all is well, and
// kept; else nothing is done to it.
func TestNewDatabase(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(1000)
	b.server.SQL(t, "postgres", "ALTER DATABASE "+b.db+" SET work_mem = '77MB'")
	split, whole := b.split(nil), b.backup()
	original := b.server.PlainDump(t, b.db)
	b.server.SQL(t, b.db, "CREATE TABLE later ()")
	changed := b.server.PlainDump(t, b.db)
	like := func(pattern string) []string {
		list := b.server.SQL(t, "postgres", "SELECT datname FROM pg_database WHERE datname LIKE '"+strings.ReplaceAll(b.db, "_", `\_`)+pattern+"' ORDER BY 1")
		return strings.Fields(list)
	}
	untouched := func(t *testing.T) {
		t.Helper()
		if got := b.server.PlainDump(t, b.db); got != changed {
			t.Error("the original was touched")
		}
	}

	t.Run("it fails", func(t *testing.T) {
		bad := b.split(func(c *dumper.Contents) { c.Tables[0].Rows-- })
		b.run("restore", "shop", bad.ID, "-y", "--new-database").ends(exitDamaged, "what came back is not", "was dropped again")
		untouched(t)
		if left := like(`\_%`); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("the wrong role", func(t *testing.T) {
		role := "stranger_" + b.db
		b.server.SQL(t, "postgres", "CREATE ROLE "+role+" LOGIN CREATEDB PASSWORD '"+password+"'")
		b.run("restore", "shop", split.ID, "-y", "--new-database", "--db-username", role).ends(exitRefused, "only its owner", role)
		b.server.SQL(t, "postgres", "DROP ROLE "+role)
	})
	t.Run("sessions", func(t *testing.T) {
		other := b.session(b.db)
		b.run("restore", "shop", split.ID, "-y", "--new-database").ends(exitRefused, "1 sessions are connected", "--force", "nothing was done")
		b.must(other.Close(context.Background()))
		if left := like(`\_%`); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		untouched(t)
	})
	t.Run("sessions that come while it runs", func(t *testing.T) {
		for _, name := range []string{"came", "go"} {
			b.must(syscall.Mkfifo(b.path(name), 0o600))
		}
		b.wrap("pg_restore", `if mkdir "$BED/first" 2> /dev/null; then echo > "$BED/came"; cat "$BED/go"; fi; exec "$REAL" "$@"`)
		run := b.start(nil, "restore", "shop", split.ID, "-y", "--new-database")
		b.read("came")
		other := b.session(b.db)
		b.write("go", nil)
		run.wait().ends(exitRefused, "others are connected", "is as it was", "ALTER DATABASE", "RENAME TO")
		b.must(other.Close(context.Background()))
		b.unwrap("pg_restore")
		made := like(`\_dbacked\_%`)
		if len(made) != 1 || b.server.PlainDump(t, made[0]) != original {
			t.Fatalf("the restored databases are %v", made)
		}
		untouched(t)
		b.drop(made[0])
	})
	for name, id := range map[string]string{"in parts": split.ID, "in one stream": whole} {
		t.Run("swapped, "+name, func(t *testing.T) {
			other := b.session(b.db)
			defer other.Close(context.Background())
			b.run("restore", "shop", id, "-y", "--new-database", "--force").ok("what was there before is kept as", "DROP DATABASE")
			kept := like(`\_before\_%`)
			if len(kept) != 1 || b.server.PlainDump(t, kept[0]) != changed {
				t.Fatalf("kept: %v", kept)
			}
			if got := b.server.PlainDump(t, b.db); got != original {
				t.Error("what came back differs")
			}
			if got := b.server.SQL(t, b.db, "SHOW work_mem"); got != "77MB" {
				t.Errorf("work_mem is %s", got)
			}
			if left := like(`\_dbacked\_%`); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			b.drop(b.db)
			b.server.SQL(t, "postgres", "ALTER DATABASE "+kept[0]+" RENAME TO "+b.db)
		})
	}
	b.run("restore", "shop", "-y", "--new-database", "--create").ends(exitUsage, "choose one of them")
	b.run("restore", "shop", split.ID, "-y", "--new-database", "--db-name", "nowhere").ends(exitRefused, "there is no database", "--create")
}
