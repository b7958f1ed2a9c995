//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// restore: what an administrator types brings the data back, and what one-shots
// of root write belongs to the service's user.
func restore(t *testing.T, b *bed) {
	for instance, how := range map[string]struct {
		flags []string
		drop  func()
	}{
		"a": {
			[]string{"--run-as", "postgres"},
			func() { b.postgres(t, "postgres", "DROP DATABASE shop") },
		},
		"b": {
			[]string{"--run-as", "root", "--db-username", "root", "--db-host", "/run/mysqld/mysqld.sock"},
			func() { b.mariadb(t, "DROP DATABASE shop") },
		},
	} {
		before := b.digest(t, instance)
		b.sudo(t, "dbacked", "backup", instance) // by the agent
		b.sudo(t, "dbacked", "verify", instance, "--private-key-path", privateKey, "--passphrase-file", passphrase)
		b.sudo(t, "systemctl", "stop", "dbacked@"+instance)
		b.sudo(t, "dbacked", "backup", "--here", instance)
		how.drop()
		b.sudo(t, slices.Concat([]string{
			"dbacked", "restore", instance, "--last-backup", "--yes", "--create",
			"--private-key-path", privateKey, "--passphrase-file", passphrase,
		}, how.flags)...)
		if after := b.digest(t, instance); after != before {
			t.Errorf("restored into %s: %s, not %s", instance, after, before)
		}
		b.sudo(t, "systemctl", "start", "dbacked@"+instance)
		b.backup(t, instance)
	}
	b.expectOwned(t)
}

// expectOwned: without the rights nothing is shown, and what is stored belongs to
// the service's user alone.
func (b *bed) expectOwned(t *testing.T) {
	t.Helper()
	for _, command := range [][]string{{"list", "a"}, {"backup", "a"}} {
		r := b.try(t, slices.Concat(as("admin"), []string{"dbacked"}, command)...)
		if r.status == 0 || !strings.Contains(r.err, "sudo dbacked") {
			t.Errorf("dbacked %v without the rights: exit status %d, %q", command, r.status, r.err)
		}
	}
	// The two that tmpfiles.d makes are root's.
	// (A file that goes away meanwhile makes find fail.)
	strangers := b.try(t, "find", "/var/lib/dbacked", "/run/dbacked", "-mindepth", "1", "!", "-user", "dbacked", "!", "-type", "s").out
	if strangers != "" {
		t.Errorf("these do not belong to the user dbacked:\n%s", strangers)
	}
	open := b.try(t, "find", "/var/lib/dbacked", "-mindepth", "1", "-perm", "/077", "!", "-name", "*.pub").out
	if open != "" {
		t.Errorf("these are open to others:\n%s", open)
	}
}

// expectWhole compares what is stored of an instance with what was proved: each
// folder of a backup has a manifest, and nothing hidden is left but the state.
func (b *bed) expectWhole(t *testing.T, instance string) {
	t.Helper()
	dir := "/var/lib/dbacked/" + instance
	var half []string
	// Not only while a run that is due is at hand.
	eventually(t, "all that is stored is whole", func() bool {
		half = b.stored(t, instance)
		return len(half) == 0 || b.property(t, service(instance), "ActiveState") == "inactive"
	})
	if len(half) > 0 {
		t.Errorf("half of a backup stays: %s", strings.Join(half, " "))
	}
	if n := strings.TrimSpace(b.sh(t, "find %s -name manifest | wc -l", dir)); n == "0" {
		t.Errorf("%s holds no backup", dir)
	}
}

// stored returns the files of an instance that belong to no backup with a
// manifest.
func (b *bed) stored(t *testing.T, instance string) (half []string) {
	t.Helper()
	dir := "/var/lib/dbacked/" + instance
	out := b.sh(t, `cd %s && find . \( -path ./.state -o -path ./control \) -prune -o -type f -print || true`, dir)
	for name := range strings.Lines(out) {
		name = strings.TrimPrefix(strings.TrimSpace(name), "./")
		folder, file, _ := strings.Cut(name, "/")
		whole := b.try(t, "test", "-e", dir+"/"+folder+"/manifest").status == 0
		if !whole || strings.HasPrefix(file, ".") {
			half = append(half, name)
		}
	}
	return half
}
