package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unset is a bed whose instance is not configured yet.
func unset(t *testing.T, e *engine) *bed {
	t.Helper()
	b := newBed(t, e)
	b.must(os.Remove(b.path("etc/shop.env")))
	b.must(os.Chmod(b.dir, 0o755))
	b = b.with("LC_ALL", "C.UTF-8").without("DBACKED_PRIVATE_KEY_FILE")
	b.small(10)
	return b
}

// root makes a run write below the bed's folder, as init's answers for every
// test.
func (b *bed) root(more ...string) []string {
	return append([]string{
		"init", "--root", b.dir, "--config-directory", b.path("etc"), "--state-directory", b.path("state"),
		"--service-user", "nobody",
	}, more...)
}

// answers are flags that leave nothing to ask, but who connects.
func (b *bed) answers(more ...string) []string {
	return b.root(append([]string{
		"shop", "--yes", "--db-type", b.e.kind, "--db-host", b.server.Socket, "--db-port", fmt.Sprint(b.server.Port), "--db-name", b.db,
		"--storage", "file://" + b.path("storage"), "--public-key", b.path("public.pem"), "--schedule", "30 2 * * *",
	}, more...)...)
}

// snapshot lists every file of the bed, with what is in it.
func (b *bed) snapshot() string {
	b.t.Helper()
	var out strings.Builder
	b.must(filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == b.path("tmp") || path == b.path("tools") {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %s", path, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %q", text)
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

// users counts the database's users of a name.
func (b *bed) users(name string) string {
	b.t.Helper()
	if b.e == postgres {
		return b.server.SQL(b.t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = '"+name+"'")
	}
	return b.server.SQL(b.t, "", "SELECT count(*) FROM mysql.user WHERE User = '"+name+"'")
}

// TestInitByFlags makes a user and sets an instance up without a question; what
// it wrote is what check, backup and restore work with.
func TestInitByFlags(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := unset(t, e)
		user := "u_" + b.db
		b.run(b.answers("--create-user", "--db-username", user)...).ok()
	})
}
