//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// running: all instances run, and say how they are.
func running(t *testing.T, b *bed) {
	for _, instance := range []string{"a", "b", "idle"} {
		b.expectProperties(t, service(instance), "ActiveState=active", "SubState=running", "NRestarts=0", "UnitFileState=enabled")
		b.expectProperties(t, socket(instance), "ActiveState=active")
		text := b.property(t, service(instance), "StatusText")
		if text == "" {
			t.Errorf("%s has no STATUS=", instance)
		}
		t.Logf("%s: %s", instance, text)
	}
	if r := b.try(t, "systemctl", "start", "dbacked@nosuch"); r.status == 0 {
		t.Error("an instance without its env file was started")
	}
	b.journal.await(t, 0, "MESSAGE=dbacked@nosuch.service: Starting requested but asserts failed*")
	b.run(t, "systemctl", "enable", "dbacked@nosuch") // else systemd forgets it at once
	b.try(t, "systemctl", "start", "dbacked@nosuch")
	defer b.run(t, "systemctl", "disable", "dbacked@nosuch")
	if status := b.try(t, "systemctl", "status", "dbacked@nosuch"); !strings.Contains(status.out, "/etc/dbacked/nosuch.env") {
		t.Errorf("systemctl status does not name the missing env file:\n%s", status.out)
	}
}

// schedule: the first backup is made at once, as none exists; then one is made
// each minute.
func schedule(t *testing.T, b *bed) {
	for _, instance := range []string{"a", "b", "idle"} {
		first := b.journal.await(t, 0, append(event(instance, "backup-started"), "DBACKED_REASON=due")...)
		b.journal.await(t, 0, event(instance, "backup-proved")...)
		t.Logf("%s: %s", instance, first)
	}
	mark := b.mark(t)
	for _, instance := range []string{"a", "b"} {
		b.journal.awaitFor(t, 75*time.Second, mark, append(event(instance, "backup-started"), "DBACKED_REASON=due")...)
		proved := b.journal.awaitFor(t, eventTimeout, mark, event(instance, "backup-proved")...)
		list := b.sudo(t, "dbacked", "list", instance)
		if !strings.Contains(list, proved["DBACKED_BACKUP_ID"]) {
			t.Errorf("%s was proved and is not in the list:\n%s", proved["DBACKED_BACKUP_ID"], list)
		}
		if code, body := b.get(t, instance, "/healthz"); code != 200 {
			t.Errorf("/healthz of %s: %d %s", instance, code, body)
		}
	}
	if n := b.journal.count(0, event("idle", "backup-started")...); n != 1 {
		t.Errorf("the instance that is due once a year has made %d backups", n)
	}
}

// stopped: what was stopped or disabled stays so, whoever asks for its status.
func stopped(t *testing.T, b *bed) {
	for _, command := range [][]string{
		{"systemctl", "stop", "dbacked@a"},
		{"systemctl", "disable", "--now", "dbacked@a"},
		{"systemctl", "stop", "dbacked.target"},
	} {
		mark := b.mark(t)
		end := b.scrape("a")
		b.sudo(t, command...)
		// A target's stop does not wait for what stops with it.
		eventually(t, "a has stopped", func() bool { return b.property(t, socket("a"), "ActiveState") == "inactive" })
		b.expectProperties(t, service("a"), "ActiveState=inactive", "Result=success")
		answered, refused := end(200)
		t.Logf("%s: %d requests answered before, %d refused after", strings.Join(command, " "), answered, refused)
		b.expectProperties(t, service("a"), "ActiveState=inactive")
		b.expectProperties(t, socket("a"), "ActiveState=inactive")
		b.journal.await(t, mark, event("a", "agent-stopping")...)
		if n := b.journal.count(mark, "_PID=1", "UNIT="+service("a"), "MESSAGE=Starting*"); n != 0 {
			t.Errorf("after %q the agent was started again", command)
		}
		if table := b.run(t, "dbacked", "status"); !strings.Contains(table, "a ") {
			t.Errorf("dbacked status does not show what is stopped:\n%s", table)
		}
		b.sudo(t, "systemctl", "enable", "--now", "dbacked@a")
	}
	b.expectProperties(t, service("b"), "ActiveState=inactive") // by the target
	b.sudo(t, "systemctl", "start", "dbacked.target")
	for _, instance := range []string{"a", "b", "idle"} {
		b.expectProperties(t, service(instance), "ActiveState=active")
	}
}

// watchdog: a process that hangs is replaced.
func watchdog(t *testing.T, b *bed) {
	b.configure(t, service("a"), "[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\nRestartSec=100ms\n")
	b.run(t, "systemctl", "restart", "dbacked@a")
	before := b.property(t, service("a"), "MainPID")
	mark := b.mark(t)
	started := time.Now()
	b.run(t, "kill", "-STOP", before)
	b.journal.await(t, mark, "_PID=1", "UNIT="+service("a"), "MESSAGE="+service("a")+": Watchdog timeout*")
	t.Logf("the watchdog fired after %v", time.Since(started).Round(100*time.Millisecond))
	ready := b.journal.await(t, mark, event("a", "agent-ready")...)
	if ready["_PID"] == before {
		t.Error("the process that was stopped says that it is ready")
	}
	b.expectProperties(t, service("a"), "ActiveState=active", "MainPID="+ready["_PID"])
	b.healthy(t, "a")
}

// configuration: a wrong one ends the agent for good, and says what is wrong.
func configuration(t *testing.T, b *bed) {
	mark := b.mark(t)
	t.Cleanup(func() { b.run(t, "systemctl", "restart", "dbacked@a") }) // with what edit puts back
	b.edit(t, "/etc/dbacked/a.env", 0o600, func(env string) string {
		return strings.Replace(env, "* * * * *", "61 * * * *", 1)
	})
	if r := b.try(t, "systemctl", "restart", "dbacked@a"); r.status == 0 {
		t.Error("an agent with a wrong schedule was started")
	}
	b.expectProperties(t, service("a"), "ActiveState=failed", "ExecMainStatus=78", "NRestarts=0")
	wrong := b.journal.await(t, mark, event("a", "configuration-invalid")...)
	if !strings.Contains(wrong["DBACKED_ERROR"], "DBACKED_SCHEDULE") {
		t.Errorf("the error does not name the setting: %s", wrong)
	}
}
