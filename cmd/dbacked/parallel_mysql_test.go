package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
)

// TestParallelMariaDB dumps a database of MariaDB in parts, and restores it.
func TestParallelMariaDB(t *testing.T) {
	t.Parallel()
	b := newBedOn(t, mariadb, mariadb.startOwn(t)) // what others run there would hold the snapshot up
	b.small(1000)
	b.server.SQL(t, b.db, "CREATE VIEW v AS SELECT i FROM a; CREATE TRIGGER tr BEFORE INSERT ON b FOR EACH ROW SET NEW.t = 'changed'; ANALYZE TABLE a, b")
	b.configure("DBACKED_LARGE_TABLE", "100kB", "DBACKED_JOBS", "2")
	m := b.manifest()
	if m.Version != catalog.LayoutSplit || kindsOf(m) != "globals schema data data contents" {
		t.Fatalf("layout %d: %s", m.Version, kindsOf(m))
	}
	for _, table := range b.contentsOf(m).Tables {
		if table.Rows != 1000 {
			t.Errorf("%+v", table)
		}
	}
	b.run("verify", "shop").ok().says(m.ID, "ok", "decrypted, decompressed")
	original := b.server.PlainDump(t, b.db)
	b.run("restore", "shop", m.ID, "-y", "--create", "--db-name", "new_"+b.db).ok("restored into", "2000 rows of 2 tables, as many as were backed up")
	if got := strings.ReplaceAll(b.server.PlainDump(t, "new_"+b.db), "'new_"+b.db+"'", "'"+b.db+"'"); got != original {
		t.Errorf("what came back differs: %d bytes instead of %d", len(got), len(original))
	}
	b.run("restore", "shop", m.ID, "-y", "--force").ok("2000 rows of 2 tables")

	data := b.ofKind(m, catalog.KindData)
	damaged := b.read(data[1])
	damaged[len(damaged)-1] ^= 1
	b.must(os.Chmod(b.path(data[1]), 0o600))
	b.write(data[1], damaged)
	b.run("restore", "shop", m.ID, "-y", "--force").ends(exitDamaged, "nothing was changed", "differs from its manifest")
	if got := b.server.PlainDump(t, b.db); got != original {
		t.Error("a damaged part changed the database")
	}
	b.configure("DBACKED_LARGE_TABLE", "1GB")
	if m := b.manifest(); kindsOf(m) != "globals dump" {
		t.Errorf("without a large table: %s", kindsOf(m))
	}
	b.configure("DBACKED_LARGE_TABLE", "100kB")
	b.server.SQL(t, b.db, "CREATE TABLE old (i int) ENGINE = MyISAM; INSERT INTO old VALUES (1); ANALYZE TABLE a, b")
	b.run("backup", "shop").ok("one stream", fmt.Sprintf("ALTER TABLE `%s`.`old` ENGINE = InnoDB", b.db))
}
