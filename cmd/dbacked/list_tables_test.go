package main

import "testing"

// TestListTables shows the tables of backups of each layout.
func TestListTables(t *testing.T) {
	t.Parallel()
	b := newParallelBed(t)
	b.server.SQL(t, b.db, `CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."a.b" AS SELECT 1 AS i`)
	m := b.manifest()
	r := b.run("list", "shop", m.ID, "--tables").ok().says("TABLE", "public.a", "1000", "data-1", `"My Schema"."a.b"  1 `, "public.none        0 ")
	if r.err != "" {
		t.Errorf("its list of tables is all that is needed: %s", r)
	}
	b.run("list", "shop", "--tables", "--json").ok().says(`{"schema":"My Schema","table":"a.b","part":"data","rows":1,"bytes":2}`)
	b.run("list", "shop", m.ID).ends(exitUsage, "--tables")
	b.without("DBACKED_PRIVATE_KEY_FILE").run("list", "shop", "--tables").ends(exitConfig, "DBACKED_PRIVATE_KEY")

	b.configure("DBACKED_JOBS", "1")
	one := b.manifest()
	b.run("list", "shop", one.ID, "--tables", "--json").ok("all of its dump is read").says(
		`{"schema":"My Schema","table":"a.b","part":"dump","rows":1,"bytes":2}`, `"table":"b","part":"dump","rows":1000,`)
}

// TestListTablesMySQL counts the rows in a dump of SQL.
func TestListTablesMySQL(t *testing.T) {
	t.Parallel()
	b := newBed(t, mariadb)
	b.small(3)
	b.backup()
	b.run("list", "shop", "--tables").ok("all of its dump is read").says("TABLE", "a      3 ", "dump")
}
