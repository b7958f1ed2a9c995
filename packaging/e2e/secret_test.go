//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secrets: no password on a command line, in the journal, or in a file that
// everybody may read; least of all in mid-backup.
func secrets(t *testing.T, b *bed) {
	kept := map[string]string{"password": b.password, "passphrase": b.passphrase, "secret key": b.outside.SecretKey}
	release := map[string]func(){}
	for _, instance := range []string{"a", "b"} {
		release[instance] = b.hold(t, instance)
	}
	b.expectQuietProcesses(t, kept)
	for instance, end := range release {
		end()
		eventually(t, instance+" is idle", func() bool { return b.status(t, instance).Running == nil })
	}
	b.expectQuietJournal(t, kept)
	for what, secret := range kept {
		// From a file, so that this very command line does not have it.
		b.write(t, "/run/pattern", secret+"\n", 0o644)
		r := b.try(t, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c",
			"grep -rlsF --devices=skip -f /run/pattern /etc /home /opt /root /run /srv /tmp /usr/lib/systemd /var | grep -vx /run/pattern")
		if r.out != "" {
			t.Errorf("everybody may read the %s in:\n%s", what, r.out)
		}
		must(t, os.Remove(b.path("/run/pattern")))
	}
}

// expectQuietJournal looks at all fields of all entries of this boot.
func (m *machine) expectQuietJournal(t *testing.T, kept map[string]string) {
	t.Helper()
	entries, _, _ := m.journal.since(0)
	for _, e := range entries {
		for field, value := range e {
			for what, secret := range kept {
				if strings.Contains(value, secret) {
					t.Errorf("the %s is in %s of the journal of %s: %s", what, field, m.name, e)
				}
			}
		}
	}
	t.Logf("%d entries of the journal of %s were read", len(entries), m.name)
}

// expectHidden: secrets are on no command line, in nobody's environment, and in no
// entry of the journal.
func (m *machine) expectHidden(t *testing.T, kept map[string]string) {
	t.Helper()
	names, err := filepath.Glob(m.path("/proc/[0-9]*/cmdline"))
	must(t, err)
	for _, name := range names {
		for _, file := range []string{name, filepath.Join(filepath.Dir(name), "environ")} {
			text, _ := os.ReadFile(file) // nothing of one that has ended
			for what, secret := range kept {
				if strings.Contains(string(text), secret) {
					t.Errorf("the %s is in %s", what, file)
				}
			}
		}
	}
	m.expectQuietJournal(t, kept)
}

// expectQuietProcesses looks at the command line of every process, and at what
// everybody may read of its environment.
func (b *bed) expectQuietProcesses(t *testing.T, kept map[string]string) {
	t.Helper()
	lines, err := filepath.Glob(b.path("/proc/[0-9]*/cmdline"))
	must(t, err)
	tools := 0
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if strings.Contains(string(line), "pg_dump") || strings.Contains(string(line), "mariadb-dump") {
			tools++
		}
		for what, secret := range kept {
			if strings.Contains(string(line), secret) {
				t.Errorf("the %s is on a command line: %q", what, line)
			}
		}
	}
	t.Logf("%d command lines were read, %d of them of dump tools", len(lines), tools)
	if tools < 2 {
		t.Error("both dump tools should run")
	}
}
