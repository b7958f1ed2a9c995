//go:build e2e

package e2e

import (
	"context"
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

// prepareBoth makes what both needs: a database of its own, so that it is in
// nobody's way, and the right to write to its folder.
func (b *bed) prepareBoth(t *testing.T) {
	t.Helper()
	r := b.feed(t, `CREATE DATABASE ledger;
CREATE TABLE ledger.items AS SELECT * FROM shop.items LIMIT 8000;
CREATE TABLE ledger.zz AS SELECT * FROM shop.zz;
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON ledger.* TO dbacked@localhost;
`, "mariadb")
	if r.status != 0 {
		t.Fatalf("mariadb: %s", r.err)
	}
	b.write(t, credstore("both", "db-password"), b.password+"\n", 0o600)
	b.sudo(t, "install", "-d", "-o", "dbacked", "-g", "dbacked", "-m", "0700", folder)
	b.write(t, "/etc/systemd/system/dbacked@both.service.d/storage.conf",
		strings.ReplaceAll(b.read(t, "/usr/share/doc/dbacked/examples/storage.conf"), "/srv/backups", folder), 0o644)
	b.sudo(t, "systemctl", "daemon-reload")
}

// outage is a time in which the service is away for both. It lasts until the agent
// says that a backup is in the folder alone, and goes on beside other steps: the
// service is tried again and again, for up to a minute.
type outage struct {
	over    chan struct{}
	err     error
	partial entry  // what the journal said
	status  []byte // what dbacked status --json said then
	check   []byte // and dbacked status --check
	unit    []byte // and systemd
	back    int    // of the journal, when the service was back
}

// cut begins an outage, with a backup that was asked for.
func (b *bed) cut(t *testing.T, d *door) *outage {
	t.Helper()
	o, journal := &outage{over: make(chan struct{})}, b.journal
	mark := b.mark(t)
	d.shut()
	b.request(t, "both")
	ctx, cancel := context.WithTimeout(context.Background(), 2*commandTimeout)
	b.top.Cleanup(func() { cancel(); journal.stop(); <-o.over })
	output := func(args ...string) []byte {
		out, _ := b.command(ctx, args...).Output() // what is missing is seen later
		return out
	}
	go func() {
		defer close(o.over)
		if o.partial, o.err = journal.find(2*time.Minute, mark, event("both", "backup-partial")...); o.err != nil {
			return
		}
		o.status = output("dbacked", "status", "both", "--json")
		o.check = output("dbacked", "status", "--check", "both")
		o.unit = output("systemctl", "show", "--value", "--property=StatusText", service("both"))
		o.back = journal.size()
		o.err = d.open()
	}()
	return o
}

// partial: with the service away a backup is in the folder alone, which is a state of
// its own, and an alert.
func partial(t *testing.T, b *bed) {
	o := b.outage
	<-o.over
	must(t, o.err)
	t.Logf("%s: %s", o.partial, o.partial["DBACKED_ERROR"])
	if o.partial["PRIORITY"] != "3" || !strings.Contains(o.partial["DBACKED_ERROR"], inBucket) {
		t.Errorf("it is no error, or does not name the place: %v", o.partial)
	}
	var all []agent.Status
	must(t, json.Unmarshal(o.status, &all))
	s := all[0]
	if s.Healthy || s.Partials != 1 || len(s.Runs) == 0 || !s.Runs[0].Partial || len(s.Places) != 2 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(string(o.unit), "partial") {
		t.Errorf("STATUS= does not say it: %s", o.unit)
	}
	if !strings.Contains(string(o.check), inBucket) {
		t.Errorf("dbacked status --check says %s", o.check)
	}
	if stored := b.sh(t, "ls %s/both/%s", folder, o.partial["DBACKED_BACKUP_ID"]); !strings.Contains(stored, "manifest") {
		t.Errorf("the folder holds of it only:\n%s", stored)
	}
}

// caughtUp: the agent by itself gives the place that is behind a backup; then either
// place is enough to restore.
func caughtUp(t *testing.T, b *bed) {
	back := b.outage.back
	again := b.journal.awaitFor(t, 2*time.Minute, back, append(event("both", "backup-started"), "DBACKED_REASON=retry")...)
	proved := b.journal.await(t, back, event("both", "backup-proved")...)
	t.Logf("%s, %s", again, proved)
	held, id, missing := b.places(t), proved["DBACKED_BACKUP_ID"], b.outage.partial["DBACKED_BACKUP_ID"]
	if !slices.Contains(held[inBucket], id) || slices.Contains(held[inBucket], missing) || !slices.Contains(held["file://"+folder], missing) {
		t.Errorf("%s should be in the bucket, and %s in the folder alone: %v", id, missing, held)
	}
	b.expectWell(t, "both", back)

	b.outside.doors["both"].proxy.SetPlan(b.policy(t, "s3-restore-policy.json", "both")) // for who restores
	for place, copied := range map[string]string{"1": "ledger_folder", "s3": "ledger_bucket"} {
		b.sudo(t, "dbacked", "restore", "both", "--from", place, "--last-backup", "--yes", "--create", "--db-name", copied,
			"--private-key-path", privateKey, "--passphrase-file", passphrase,
			"--run-as", "root", "--db-username", "root", "--db-host", "/run/mysqld/mysqld.sock")
		if got, want := b.mariadb(t, digestShop(copied)), b.mariadb(t, digestShop("ledger")); got != want {
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
