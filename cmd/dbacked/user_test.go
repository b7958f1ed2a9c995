package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// ownedBy gives an instance to another user, as StateDirectory= does; the test's
// settings stay root's own.
func (b *bed) ownedBy(name string) (uid int) {
	b.t.Helper()
	if os.Geteuid() != 0 {
		dbtest.Need(b.t, "root", fs.ErrPermission)
	}
	u, err := user.Lookup(name)
	b.must(err)
	uid, err = strconv.Atoi(u.Uid)
	b.must(err)
	gid, err := strconv.Atoi(u.Gid)
	b.must(err)
	b.must(os.Chmod(b.dir, 0o711))
	b.must(os.Chmod(b.path("tools"), 0o755))
	b.must(os.Chmod(b.path("public.pem"), 0o644))
	for _, dir := range []string{"storage", "state", "tmp"} {
		b.must(os.Chown(b.path(dir), uid, gid))
	}
	return uid
}

// TestRootActsAsTheService: what a one-shot of root writes belongs to the user of
// the service, whose settings and keys only root may read.
func TestRootActsAsTheService(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(100)
		uid := b.ownedBy("nobody")
		// The tool says who it is.
		b.wrap(e.dump, `id -u > "$BED/tmp/who"; exec "$REAL" "$@"`)
		b.must(os.Chmod(b.path("tools/"+e.dump), 0o755))
		b.backup()
		if who := strings.TrimSpace(string(b.read("tmp/who"))); who != fmt.Sprint(uid) {
			t.Errorf("the dump program ran as user %s instead of %d", who, uid)
		}
		into := b.emptyDatabase()
		b.run("restore", "shop", "--last-backup", "-y", "--db-name", into).ok()
		b.run("verify", "shop").ok()
		for _, dir := range []string{"storage", "state"} {
			b.must(filepath.WalkDir(b.path(dir), func(path string, d fs.DirEntry, err error) error {
				info, err := d.Info()
				if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != uid {
					t.Errorf("%s belongs to user %d", path, info.Sys().(*syscall.Stat_t).Uid)
				}
				return err
			}))
		}
	})
}

func TestRunAsIsForRoot(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.ownedBy("nobody")
	b.run("restore", "shop", "--run-as", "no-such-user", "--last-backup", "-y").ends(exitUsage, "--run-as", "no-such-user")
}

func TestDropIn(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.configure("DBACKED_DB_HOST", "/tmp/sock", "DBACKED_DB_TLS_CA", b.path("public.pem"), "DBACKED_STORAGE", "file:///srv/backups")
	s := newScreen(os.Stdin, os.Stdout, os.Stderr)
	environ := []string{"DBACKED_CONFIG_DIRECTORY=" + b.path("etc")}
	c, err := (&app{screen: s, environ: environ}).load("shop", (&agentCommand{}).flags(), agentNeeds)
	b.must(err)
	got := dropIn(c)
	for _, want := range []string{"systemctl edit dbacked@shop", "BindReadOnlyPaths=-/tmp/sock", "ReadWritePaths=-/srv/backups", "systemctl restart dbacked@shop"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}
