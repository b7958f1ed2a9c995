//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"
)

// stopLimit is how long a stop in mid-backup may take.
const stopLimit = 10 * time.Second

// terminate: a stop in mid-backup ends the dump tool, and takes back what was
// stored.
func terminate(t *testing.T, b *bed) {
	for instance, tool := range map[string]string{"a": "pg_dump", "b": "mariadb-dump"} {
		release := b.hold(t, instance)
		if instance == "b" && len(b.stored(t, instance)) == 0 {
			t.Error("nothing is stored yet of the backup at hand: this shows nothing")
		}
		mark := b.mark(t)
		held := b.processes(t, tool)
		started := time.Now()
		b.run(t, "systemctl", "stop", "dbacked@"+instance)
		took := time.Since(started)
		t.Logf("%s in mid-backup stopped in %v", instance, took.Round(time.Millisecond))
		if took > stopLimit {
			t.Errorf("that is more than %v", stopLimit)
		}
		for _, pid := range b.processes(t, tool) {
			if slices.Contains(held, pid) { // not one of another instance
				t.Errorf("%s goes on: %v", tool, pid)
			}
		}
		b.expectProperties(t, service(instance), "ActiveState=inactive", "Result=success", "ExecMainStatus=0")
		b.expectWhole(t, instance)
		b.journal.await(t, mark, event(instance, "backup-cancelled")...)
		release()
		b.run(t, "systemctl", "start", "dbacked@"+instance)
		b.healthy(t, instance)
	}
}

// kill: after a SIGKILL in mid-backup the next run is clean.
func kill(t *testing.T, b *bed) {
	b.configure(t, service("b"), "[Service]\nRestartSec=1s\n")
	release := b.hold(t, "b")
	if len(b.stored(t, "b")) == 0 {
		t.Error("nothing is stored yet of the backup at hand: this shows nothing")
	}
	mark := b.mark(t)
	before := b.property(t, service("b"), "MainPID")
	b.run(t, "systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "dbacked@b")
	b.journal.await(t, mark, "UNIT="+service("b"), "MESSAGE="+service("b")+": Main process exited, code=killed, status=9/KILL")
	eventually(t, "the dump tool is gone", func() bool { return len(b.processes(t, "mariadb-dump")) == 0 })
	release()
	s := b.status(t, "b") // which waits for it to be started again
	if b.property(t, service("b"), "MainPID") == before {
		t.Fatal("the process survived SIGKILL")
	}
	t.Logf("after the SIGKILL: %s, %s", s.State, b.property(t, service("b"), "StatusText"))
	b.backup(t, "b")
	b.journal.await(t, mark, event("b", "leftovers-removed")...)
	b.expectWhole(t, "b")
	b.healthy(t, "b")
}
