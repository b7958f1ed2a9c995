//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// password: a wrong one fails a run and nothing else, and the health timer calls
// for help.
func password(t *testing.T, b *bed) {
	t.Cleanup(func() {
		b.run(t, "systemctl", "restart", "dbacked@b") // with what edit puts back
		b.healthy(t, "b")
	})
	b.edit(t, credential, 0o600, func(string) string { return "nonsense\n" })
	b.run(t, "systemctl", "restart", "dbacked@b")
	mark := b.mark(t)
	b.request(t, "b")
	failed := b.journal.await(t, mark, event("b", "backup-failed")...)
	t.Log(failed)
	for _, name := range []string{"DBACKED_ERROR", "DBACKED_STAGE", "PRIORITY"} {
		if failed[name] == "" {
			t.Errorf("the failure has no %s", name)
		}
	}
	if !strings.Contains(failed["DBACKED_ERROR"], "Access denied") && !strings.Contains(failed["DBACKED_ERROR"], "password") {
		t.Errorf("the reason does not speak of the password: %s", failed["DBACKED_ERROR"])
	}
	explained := b.run(t, "journalctl", "-x", "-n", "1", "MESSAGE_ID="+failed["MESSAGE_ID"], "DBACKED_INSTANCE=b")
	for _, words := range []string{"Subject: A backup of b has failed", `in its stage "` + failed["DBACKED_STAGE"] + `"`, "sudo dbacked check b"} {
		if !strings.Contains(explained, words) {
			t.Errorf("journalctl -x does not say %q of a failure:\n%s", words, explained)
		}
	}
	code, body := b.get(t, "b", "/healthz")
	if code != http.StatusServiceUnavailable {
		t.Errorf("/healthz: %d %s", code, body)
	}
	t.Logf("/healthz: %d %s", code, body)
	b.expectProperties(t, service("b"), "ActiveState=active", "SubState=running")

	b.configure(t, "dbacked-health@b.timer", "[Timer]\nOnCalendar=\nOnActiveSec=100ms\nRandomizedDelaySec=0\nAccuracySec=10ms\n")
	mark = b.mark(t)
	b.sudo(t, "systemctl", "start", "dbacked-health@b.timer")
	t.Cleanup(func() {
		b.run(t, "systemctl", "stop", "dbacked-health@b.timer")
		b.run(t, "systemctl", "reset-failed", "dbacked-health@b.service")
	})
	alert := b.journal.await(t, mark, "_SYSTEMD_UNIT=dbacked-failure@b.service", "PRIORITY=1")
	t.Logf("the failure unit says: %s", alert)
}

// away: with the database of a and the storage of b away at boot both are
// active, say so, and back up when those are back.
func away(t *testing.T, b *bed) {
	// What network storage is: a mount that comes late, in a folder that is there,
	// of which the drop-in is the example in the documentation.
	const mounted, storage = "/srv/backups", "/srv/backups/host"
	b.run(t, "mkdir", "-p", mounted)
	const database = "postgresql.service postgresql@15-main.service"
	t.Cleanup(func() {
		b.sh(t, "systemctl unmask %s && systemctl start %s && systemctl restart dbacked@b", database, database)
		b.healthy(t, "b")
	})
	b.configure(t, service("b"), b.read(t, "/usr/share/doc/dbacked/examples/storage.conf"))
	b.edit(t, "/etc/dbacked/b.env", 0o600, func(env string) string { return env + "DBACKED_STORAGE=file://" + storage + "\n" })
	b.sh(t, "systemctl mask %s", database)

	b.reboot(t)
	b.request(t, "a") // not to wait for the next minute
	for instance, words := range map[string]string{"a": "5432", "b": storage} {
		failed := b.journal.await(t, 0, "DBACKED_INSTANCE="+instance, "DBACKED_ERROR=*", "PRIORITY=*")
		t.Log(failed)
		b.expectProperties(t, service(instance), "ActiveState=active", "SubState=running", "NRestarts=0")
		code, body := b.get(t, instance, "/healthz")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, words) {
			t.Errorf("/healthz of %s: %d %s", instance, code, body)
		}
		t.Logf("%s: %s", instance, b.property(t, service(instance), "StatusText"))
	}

	mark := b.mark(t)
	b.sh(t, "systemctl unmask %s && systemctl start %s", database, database)
	b.run(t, "mount", "-t", "tmpfs", "tmpfs", mounted)
	b.run(t, "install", "-d", "-o", "dbacked", "-g", "dbacked", "-m", "0700", storage)
	for _, instance := range []string{"a", "b"} { // by themselves: nobody asks
		proved := b.journal.awaitFor(t, 2*time.Minute, mark, event(instance, "backup-proved")...)
		t.Log(proved)
		if code, body := b.get(t, instance, "/healthz"); code != http.StatusOK {
			t.Errorf("/healthz of %s: %d %s", instance, code, body)
		}
	}
}
