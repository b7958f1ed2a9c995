package main

import (
	"os"
	"testing"
	"time"
)

// TestRestoreInterrupted: of a restore that is interrupted while the server makes
// its database, no database stays.
func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	b := newBedOn(t, postgres, postgres.startOwn(t)) // on another, nobody could change anything meanwhile
	b.small(10)
	b.backup()
	// The database is made then, and whoever makes it is told so once that has
	// reached a standby, which does not exist.
	b.server.SQL(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()")
	r := b.start(nil, "restore", "shop", "-y", "--create", "--db-name", "cut")
	for b.making() == "0" {
		time.Sleep(time.Millisecond)
	}
	b.must(r.cmd.Process.Signal(os.Interrupt))
	b.server.SQL(t, "postgres", "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")
	r.wait().ends(exitInterrupted, "interrupted")
	for b.making() != "0" {
		time.Sleep(time.Millisecond)
	}
	if got := b.server.SQL(t, "postgres", "SELECT count(*) FROM pg_database WHERE datname = 'cut'"); got != "0" {
		t.Error("the database is there")
	}
}

// making is how many sessions wait for a standby.
func (b *bed) making() string {
	b.t.Helper()
	return b.server.SQL(b.t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
}
