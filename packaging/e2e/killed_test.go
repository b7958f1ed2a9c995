//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// For how long an agent keeps a backup without a word, and one of 2018.
const (
	lease        = 5 * time.Minute
	leaseOf2018  = 2 * time.Hour
	closeToLease = 5 * time.Second
)

// killed: what an agent made that was killed in mid-backup is given to another when
// the lease ends, not before.
func killed(t *testing.T, b *bed) {
	c := b.clocked
	b.configure(t, service("orders"), "[Service]\nRestart=no\n")
	mark := b.mark(t)
	c.bothAsk(t)
	release := b.lockItems(t)
	c.set(t, c.due(t, "orders").Add(time.Second))
	c.here.open()
	b.journal.await(t, mark, event("orders", "backup-started")...)
	eventually(t, "the dump stands still", func() bool { return b.dumpWaits(t) == "1" })
	kept := map[string]string{"key of the service": strings.TrimSpace(b.read(t, credstore("orders", "apikey")))}
	b.expectHidden(t, kept)
	c.twin.expectHidden(t, kept)
	b.run(t, "systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "dbacked@orders")
	b.journal.await(t, mark, "UNIT="+service("orders"), "MESSAGE="+service("orders")+": Main process exited, code=killed, status=9/KILL")
	release()
	held := c.all(t, "orders")[0]
	if held.State != "open" {
		t.Fatalf("%+v", held)
	}
	c.expectFreed(t, held, held.Started.Add(lease))
	b.run(t, "systemctl", "start", "dbacked@orders")
}

// killedOf2018: an agent of 2018, which sends no heartbeats, keeps its backup for two
// hours after its last call.
func killedOf2018(t *testing.T, b *bed) {
	c := b.clocked
	c.bothAsk(t)
	c.set(t, c.due(t, "orders").Add(time.Second))
	key := strings.TrimSpace(b.read(t, credstore("orders", "apikey")))
	var given struct {
		Backup struct{ ID, ProjectID string }
	}
	must(t, json.Unmarshal([]byte(b.call(t, key, "/projects/own/backups", `{"agentId":"of-2018","agentVersion":"0.4.1","dbType":"pg"}`)), &given))
	c.set(t, c.now().Add(time.Hour))
	last := c.now()
	b.call(t, key, "/projects/"+given.Backup.ProjectID+"/backups/"+given.Backup.ID+"/status",
		`{"status":"IN_PROGRESS","agentId":"of-2018","partNumber":1,"hash":"1B2M2Y8AsgTpgAmY7PhCfg=="}`)
	held := c.all(t, "orders")[0]
	if held.State != "open" || held.ID != given.Backup.ID {
		t.Fatalf("%+v", held)
	}
	c.here.open() // the first machine's agent is refused as well
	c.here.awaitQuestions(t, 2)
	c.here.hold()
	c.expectFreed(t, held, last.Add(leaseOf2018))
	c.here.open()
}

// expectFreed: another agent, the twin's, is refused a backup that is held until some
// time, and then is given it.
func (c *clocked) expectFreed(t *testing.T, held given, until time.Time) {
	t.Helper()
	mark := c.twin.mark(t)
	c.set(t, until.Add(-closeToLease))
	c.there.open()
	c.there.awaitQuestions(t, 2)
	if n := c.twin.journal.count(mark, event("orders", "backup-started")...); n != 0 && c.now().Before(until) {
		t.Error("the other agent was given it before the lease has ended")
	}
	c.twin.journal.await(t, mark, event("orders", "backup-proved")...)
	all := c.all(t, "orders")
	if all[1].ID != held.ID || all[1].State != "lost" {
		t.Errorf("what was held is now %+v", all[1])
	}
	after := all[0].Started.Sub(until)
	t.Logf("it was given %v after the lease had ended: %+v", after, all[0])
	if all[0].State != "done" || after < 0 || after > 30*time.Second {
		t.Errorf("given to the other %v after the lease had ended: %+v", after, all[0])
	}
}
