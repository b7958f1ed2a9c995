//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// upgrade: in mid-backup, that ends proved, and then the new binary runs.
func upgrade(t *testing.T, b *bed) {
	b.publish(t, b.next())
	for _, instance := range []string{"a", "b", "idle"} { // not thirty seconds
		b.configure(t, service(instance), "[Service]\nRestartSec=1s\n")
	}
	b.sudo(t, "apt", "update")
	release := b.hold(t, "a")
	mark := b.mark(t)
	before := b.property(t, service("a"), "MainPID")
	b.sudo(t, "apt", "install", "--yes", "dbacked")
	if out := b.run(t, "dbacked", "version"); !strings.Contains(out, secondVersion) {
		t.Errorf("dbacked version: %s", out)
	}
	s := b.status(t, "a")
	if s.AgentVersion != firstVersion || s.Running == nil {
		t.Errorf("during the upgrade a is %s, of version %s", s.State, s.AgentVersion)
	}
	t.Logf("a after the upgrade: %s, of version %s", s.State, s.AgentVersion)
	b.expectProperties(t, service("a"), "ActiveState=active", "MainPID="+before)
	release()
	proved := b.journal.await(t, mark, event("a", "backup-proved")...)
	if proved["_PID"] != before {
		t.Errorf("the backup was proved by process %s, not by %s", proved["_PID"], before)
	}
	b.journal.await(t, mark, "UNIT="+service("a"), "MESSAGE="+service("a")+": Scheduled restart job*")
	for _, instance := range []string{"a", "b", "idle"} {
		if s := b.status(t, instance); s.AgentVersion != secondVersion {
			t.Errorf("%s is still of version %s", instance, s.AgentVersion)
		}
		b.expectProperties(t, service(instance), "ActiveState=active", "Result=success")
	}
	b.expectWhole(t, "a")
	b.healthy(t, "a")
}

// remove: removing the package stops all and keeps data and configuration;
// purging it takes the settings and the links too, never keys or backups.
func remove(t *testing.T, b *bed) {
	b.sudo(t, "systemctl", "enable", "--now", "dbacked-health@a.timer", "dbacked-verify@b.timer")
	for _, instance := range []string{"a", "b"} { // from here on none is due
		env := b.read(t, "/etc/dbacked/"+instance+".env")
		b.write(t, "/etc/dbacked/"+instance+".env", strings.Replace(env, "* * * * *", "@yearly", 1), 0o600)
		b.run(t, "systemctl", "restart", "dbacked@"+instance)
	}
	backups := b.sh(t, "find /var/lib/dbacked -type f | sort")
	keys := []string{"/etc/dbacked/public.pem", privateKey, credential}

	b.sudo(t, "apt", "remove", "--yes", "dbacked")
	b.expectNothingRuns(t)
	if now := b.sh(t, "find /var/lib/dbacked -type f | sort"); now != backups {
		t.Errorf("remove changed the backups: %s instead of %s", now, backups)
	}
	b.run(t, slices.Concat([]string{"ls"}, keys, []string{"/etc/dbacked/a.env", "/etc/dbacked/b.env"})...)

	b.sudo(t, "apt", "purge", "--yes", "dbacked")
	b.expectNothingRuns(t)
	if now := b.sh(t, "find /var/lib/dbacked -type f | sort"); now != backups {
		t.Errorf("purge changed the backups: %s instead of %s", now, backups)
	}
	b.run(t, slices.Concat([]string{"ls"}, keys)...)
	if left := b.sh(t, "find /etc/dbacked -name '*.env'; find /etc/systemd -name 'dbacked*' -type l"); left != "" {
		t.Errorf("purge left:\n%s", left)
	}
}

func (b *bed) expectNothingRuns(t *testing.T) {
	t.Helper()
	if units := b.run(t, "systemctl", "list-units", "--state=active,activating,deactivating,reloading,failed", "--plain", "--no-legend", "dbacked*.service", "dbacked*.socket", "dbacked*.timer", "dbacked.target"); units != "" {
		t.Errorf("these units are left:\n%s", units)
	}
	if pids := b.processes(t, "dbacked"); len(pids) > 0 {
		t.Errorf("dbacked runs: %v", pids)
	}
	if sockets := b.sh(t, "find /run/dbacked -type s 2>/dev/null || true"); sockets != "" {
		t.Errorf("sockets are left: %s", sockets)
	}
}
