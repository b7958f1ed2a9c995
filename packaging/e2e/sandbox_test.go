//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// own are the folders that an instance may write to: its state, its own folder
// in /run, and temporary ones that nobody else sees and that end with it.
var own = []string{"/var/lib/dbacked/probe", "/run/dbacked/probe", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"}

// probe runs a script instead of the agent, as an instance of its own: as its
// user and in its sandbox. It returns what the script printed.
func (b *bed) probe(t *testing.T, script string) string {
	t.Helper()
	env := strings.Replace(b.read(t, "/etc/dbacked/idle.env"), "DBACKED_SCHEDULE", "#", 1)
	b.write(t, "/etc/dbacked/probe.env", env, 0o600)
	b.write(t, "/usr/local/lib/probe", "exec >/var/lib/dbacked/probe/out 2>&1\n"+script+"\ntrue\n", 0o644)
	b.configure(t, service("probe"), `[Service]
Type=oneshot
Restart=no
RestartForceExitStatus=
WatchdogSec=0
ExecStart=
ExecStart=/bin/bash /usr/local/lib/probe
`)
	b.run(t, "systemctl", "start", "dbacked@probe")
	out := b.read(t, "/var/lib/dbacked/probe/out")
	b.run(t, "rm", "-rf", "/var/lib/dbacked/probe", "/etc/dbacked/probe.env", "/usr/local/lib/probe")
	return out
}

// sandbox: an instance cannot write outside its state folder, and sees of
// another no more than the shared user implies.
func sandbox(t *testing.T, b *bed) {
	out := b.probe(t, `
find / \( -path /proc -o -path /sys \) -prune -o -type d -print 2>/dev/null | while read -r dir; do
	if : 2>/dev/null >"$dir/.probe.$$"; then rm "$dir/.probe.$$"; echo "folder $dir"; fi
done
find / \( -path /proc -o -path /sys \) -prune -o -type f -writable -print 2>/dev/null | sed 's/^/file /'
echo alive >/dev/null && echo alive`)
	if !strings.Contains(out, "folder /var/lib/dbacked/probe\n") || !strings.Contains(out, "alive") {
		t.Fatalf("the probe cannot even write to its state folder:\n%s", out)
	}
	for line := range strings.Lines(out) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		mine := slices.ContainsFunc(own, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
		if kind == "folder" || kind == "file" {
			t.Log(strings.TrimSpace(line))
			if !mine {
				t.Errorf("an instance can write to %s", name)
			}
		}
	}
	b.neighbours(t)
}

// neighbours shows what an instance can do to another, b. The two share a user,
// so that the database knows them by one name. Inside the sandbox that implies:
// each can log in to a local database that lets in the user dbacked by peer
// authentication. It does not imply the other's state (its signing key), its
// backups, its credentials, its memory or environment, or its socket. Outside
// the sandbox, a program of the user dbacked can read all of these but the env
// files and /etc/credstore, which are root's.
func (b *bed) neighbours(t *testing.T) {
	pid := b.property(t, service("b"), "MainPID")
	paths := []string{
		"/var/lib/dbacked/b", "/var/lib/dbacked/b/.state", "/run/credentials/dbacked@b.service",
		"/run/credentials/dbacked@b.service/dbacked.b.db-password", credential, "/etc/dbacked/b.env",
		"/proc/" + pid + "/environ", "/proc/" + pid + "/root/var/lib/dbacked/b", "/run/dbacked/b.sock",
	}
	out := b.probe(t, fmt.Sprintf(`
for path in %s; do
	if [ -r "$path" ] && { [ -d "$path" ] && ls "$path" || [ -S "$path" ] || cat "$path"; } >/dev/null 2>&1; then echo "reads $path"; fi
done
kill -0 %s 2>/dev/null && echo "signals it"
psql -qAtX -h /var/run/postgresql -d shop -c "SELECT 'logs in by peer'"`, strings.Join(paths, " "), pid))
	t.Logf("inside the sandbox an instance can:\n%s", out)
	if strings.Contains(out, "reads ") {
		t.Errorf("an instance can read what belongs to another:\n%s", out)
	}
	if !strings.Contains(out, "logs in by peer") {
		t.Error("peer authentication does not work in the sandbox")
	}
	outside := b.try(t, append(as("dbacked"), "ls", "-d", "/var/lib/dbacked/b/.state", "/run/credentials/dbacked@b.service/dbacked.b.db-password")...)
	t.Logf("outside of it, the user dbacked can read:\n%s", outside.out)
	for _, path := range []string{credential, "/etc/dbacked/b.env", privateKey} {
		if b.try(t, append(as("dbacked"), "cat", path)...).status == 0 {
			t.Errorf("the user dbacked can read %s", path)
		}
	}
}
