//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
)

// Where the instance "both" keeps its backups.
const (
	folder   = "/var/backups/dbacked"
	inBucket = "s3://" + bucket + "/" + prefix
)

// places returns the ids of the backups that each place of both holds.
func (b *bed) places(t *testing.T) map[string][]string {
	t.Helper()
	held := make(map[string][]string)
	for line := range strings.Lines(b.sudo(t, "dbacked", "list", "both", "--json")) {
		var row struct {
			ID     string
			Proved bool
			Places []string
		}
		must(t, json.Unmarshal([]byte(line), &row))
		if !row.Proved {
			t.Errorf("%s is not proved", row.ID)
		}
		for _, place := range row.Places {
			held[place] = append(held[place], row.ID)
		}
	}
	return held
}

// expectBoth: all backups of both are in both places.
func (b *bed) expectBoth(t *testing.T) {
	t.Helper()
	held := b.places(t)
	if len(held["file://"+folder]) == 0 || !slices.Equal(held["file://"+folder], held[inBucket]) {
		t.Errorf("the places hold %v", held)
	}
}

// bothPartial: with the service away a backup is in the folder alone, which is a
// state of its own; that it is whole there a restore shows later.
func bothPartial(t *testing.T, b *bed) {
	partial := b.journal.await(t, 0, event("both", "backup-partial")...)
	t.Logf("%s: %s", partial, partial["DBACKED_ERROR"])
	if partial["PRIORITY"] != "3" || !strings.Contains(partial["DBACKED_ERROR"], inBucket) {
		t.Errorf("it is no error, or does not name the place: %v", partial)
	}
	var all []struct{ agent.Status }
	must(t, json.Unmarshal([]byte(b.sudo(t, "dbacked", "status", "both", "--json")), &all))
	s := all[0].Status
	if s.Healthy || s.Partials != 1 || len(s.Runs) == 0 || !s.Runs[0].Partial || len(s.Places) != 2 {
		t.Errorf("%+v", s)
	}
	if text := b.property(t, service("both"), "StatusText"); !strings.Contains(text, "partial") {
		t.Errorf("STATUS= does not say it: %s", text)
	}
	if r := b.try(t, "dbacked", "status", "--check", "both"); r.status != 1 || !strings.Contains(r.out+r.err, inBucket) {
		t.Errorf("dbacked status --check: %d\n%s%s", r.status, r.out, r.err)
	}
	id := partial["DBACKED_BACKUP_ID"]
	if stored := b.sh(t, "ls %s/both/%s", folder, id); !strings.Contains(stored, "manifest") {
		t.Errorf("the folder holds of %s only:\n%s", id, stored)
	}
	b.outside.doors["both"].open(t)
	b.caughtUp = b.mark(t)
}

// bothAgain: the agent by itself gives the place that is behind a backup, and only
// that; then either place is enough to restore.
func bothAgain(t *testing.T, b *bed) {
	again := b.journal.awaitFor(t, 2*time.Minute, b.caughtUp, append(event("both", "backup-started"), "DBACKED_REASON=retry")...)
	proved := b.journal.await(t, b.caughtUp, event("both", "backup-proved")...)
	t.Logf("%s, %s", again, proved)
	held := b.places(t)
	if id := proved["DBACKED_BACKUP_ID"]; !slices.Contains(held[inBucket], id) || slices.Contains(held["file://"+folder], id) {
		t.Errorf("%s should be in the bucket alone: %v", id, held)
	}
	b.expectWell(t, "both", b.caughtUp)

	want := b.digest(t, "b")
	b.outside.doors["both"].proxy.SetPlan(b.policy(t, "s3-restore-policy.json", "both")) // for who restores
	for place, copied := range map[string]string{"1": "shop_folder", "s3": "shop_bucket"} {
		b.sudo(t, "dbacked", "restore", "both", "--from", place, "--last-backup", "--yes", "--create", "--db-name", copied,
			"--private-key-path", privateKey, "--passphrase-file", passphrase,
			"--run-as", "root", "--db-username", "root", "--db-host", "/run/mysqld/mysqld.sock")
		if got := b.mariadb(t, digestShop(copied)); got != want {
			t.Errorf("from place %s: %s, not %s", place, got, want)
		}
	}
	b.bucketEnds(t)
}

// bucketEnds takes the two instances away: what follows is not about them.
func (b *bed) bucketEnds(t *testing.T) {
	t.Helper()
	b.sudo(t, "systemctl", "disable", "--now", "dbacked@vault", "dbacked@both")
	for instance, door := range b.outside.doors {
		b.sudo(t, "rm", "/etc/dbacked/"+instance+".env")
		door.shut()
	}
}
