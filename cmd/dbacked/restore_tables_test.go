package main

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

// TestRestoreTables brings single tables back, from a backup in parts and from one
// in one stream.
func TestRestoreTables(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	b.server.SQL(t, b.db, `CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."a.b" (i int PRIMARY KEY, few serial, other int REFERENCES b); INSERT INTO "My Schema"."a.b" VALUES (7, 3, 1)`)
	ids := []string{b.manifest().ID}
	b.configure("DBACKED_JOBS", "1")
	ids = append(ids, b.manifest().ID)
	original := b.server.PlainDump(t, b.db)
	for _, id := range ids {
		b.server.SQL(t, b.db, `DROP TABLE a, "My Schema"."a.b"`)
		b.run("restore", "shop", id, "--table", "public.a", "--table", `"My Schema".*`, "-y").ok(
			"backup    "+id, "into      "+b.db, "is made", "in one transaction", "restored into "+b.db, "1001 rows of 2 tables")
		if got := b.server.PlainDump(t, b.db); got != original {
			t.Errorf("what came back differs: %d bytes instead of %d", len(got), len(original))
		}
	}
	id := ids[0]
	b.run("restore", "shop", id, "--table", "few", "-y").ends(exitRefused, "public.few has rows", "--force")
	b.server.SQL(t, b.db, `DELETE FROM few; INSERT INTO few VALUES (5), (6)`)
	b.run("restore", "shop", id, "--table", "few", "--force").ends(exitRefused, "HAS ROWS, which are removed first", "add -y")
	b.run("restore", "shop", id, "--table", "few", "--force", "-y").ok("1 row of public.few")
	if got := b.server.PlainDump(t, b.db); got != original {
		t.Error("few is not what it was")
	}
	b.run("restore", "shop", id, "--table", "public.fow", "-y").ends(exitNotFound, "there are public.few")
	b.run("restore", "shop", id, "--table", `"a.b"`, "-y", "--db-name", b.emptyDatabase()).ok(
		`made too  schema "My Schema"`, `left out  foreign key "a.b_other_fkey" of "My Schema"."a.b"`, "public.b is not there", "warning: left out: ")
	b.run("restore", "shop", id, "--table", "a", "-y", "--db-name", "none_"+b.db).ends(exitRefused, "there is no database")
	for flag, word := range map[string]string{"--create": "CREATE DATABASE", "--new-database": "whole database", "--raw-output": "pg_restore --table"} {
		b.run("restore", "shop", "--table", "a", flag).ends(exitUsage, word)
	}
}

// TestRestoreTablesMySQL does the same of MariaDB.
func TestRestoreTablesMySQL(t *testing.T) {
	t.Parallel()
	b := newBedOn(t, mariadb, mariadb.startOwn(t)) // what others run there would hold the snapshot up
	b.small(1000)
	b.server.SQL(t, b.db, "CREATE TABLE `My Table` (i int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES a (i)); INSERT INTO `My Table` VALUES (1, 7), (2, NULL); "+
		"CREATE TRIGGER tr BEFORE INSERT ON `My Table` FOR EACH ROW SET NEW.a = 1; CREATE VIEW v AS SELECT i FROM a; ANALYZE TABLE a, b")
	b.configure("DBACKED_LARGE_TABLE", "100kB", "DBACKED_JOBS", "2")
	m := b.manifest()
	if m.Version != catalog.LayoutSplit {
		t.Fatalf("it has the layout %d", m.Version)
	}
	ids := []string{m.ID}
	b.configure("DBACKED_JOBS", "1")
	ids = append(ids, b.manifest().ID)
	original := b.server.PlainDump(t, b.db)
	for _, id := range ids {
		b.server.SQL(t, b.db, "DROP TABLE `My Table`; DELETE FROM b")
		b.run("list", "shop", id, "--tables", "--json").ok().says(`"table":"My Table"`, `"rows":1000`)
		b.run("restore", "shop", id, "--table", "My*", "--table", "b", "-y").ok(
			"backup    "+id, "into      "+b.db, "is made", "is there, gets its rows", "dropped again if it fails", "restored into "+b.db, "1002 rows of 2 tables")
		if got := b.server.PlainDump(t, b.db); got != original {
			t.Errorf("what came back differs: %d bytes instead of %d", len(got), len(original))
		}
		b.server.SQL(t, b.db, "UPDATE b SET t = 'lost'")
		b.run("restore", "shop", id, "--table", "b", "-y").ends(exitRefused, "b has rows", "--force")
		b.run("restore", "shop", id, "--table", "b", "-y", "--force").ok("HAS ROWS, which are removed first", "1000 rows of b")
		if got := b.server.PlainDump(t, b.db); got != original {
			t.Error("b is not what it was")
		}
		b.run("restore", "shop", id, "--table", "My Table", "-y", "--force").ends(exitRefused, "has the trigger tr")
		b.run("restore", "shop", id, "--table", "v", "-y").ends(exitNotFound, "v is a view")
		b.run("restore", "shop", id, "--table", "bb", "-y").ends(exitNotFound, "there are", "b")
		b.run("restore", "shop", id, "--table", `"My Table"`, "-y", "--db-name", b.emptyDatabase()).ok("note      foreign key", "2 rows of My Table", "warning: foreign key")
	}
}

// countingStore counts the bytes that are read.
type countingStore struct {
	depot
	read atomic.Int64
}

func (c *countingStore) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	r, err := c.depot.Open(ctx, name, offset)
	if err != nil {
		return nil, err
	}
	return countedRead{r, c}, nil
}

type countedRead struct {
	io.ReadCloser
	store *countingStore
}

func (c countedRead) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.store.read.Add(int64(n))
	return n, err
}

// TestRestoreTablesReads: a table of a hundredth of the data comes back from less
// than two hundredths of what is stored.
func TestRestoreTablesReads(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.server.SQL(t, b.db, `CREATE TABLE most AS SELECT i, md5(i::text) || md5((-i)::text) t FROM generate_series(1, 100000) i;
		CREATE TABLE hundredth AS SELECT * FROM most LIMIT 1000`)
	m := b.split(nil)
	store, err := localdir.Open(b.path("storage"))
	b.must(err)
	defer store.Close()
	key, err := encryptor.ParsePrivateKey(testKeys().private, nil)
	b.must(err)
	counting := &countingStore{depot: store}
	files := &backupFiles{app: &app{}, store: counting, manifest: m, key: key, proved: true}
	d, err := files.tableDump(t.Context())
	b.must(err)
	name := b.emptyDatabase()
	db := dumper.NewPostgres(dumper.Connection{Host: "127.0.0.1", Port: b.server.Port, Username: b.e.tester, Password: password, Database: name},
		dumper.Limits{Lock: 20 * time.Second}, dumper.Tools{}, zap.NewNop())
	_, err = db.RestoreTables(t.Context(), d.parts, []string{"public.hundredth"}, dumper.TableOptions{})
	b.must(err)
	if got := b.server.SQL(t, name, "SELECT count(*), max(i) FROM hundredth"); got != "1000|1000" {
		t.Errorf("it has %s", got)
	}
	_, stored := totals(m)
	read := counting.read.Load()
	t.Logf("%d bytes were read of %d, %.2f %%", read, stored, 100*float64(read)/float64(stored))
	if read*50 >= stored {
		t.Error("that is more than two hundredths")
	}
}
