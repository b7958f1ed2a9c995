package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// remote makes the bed's storage a folder that rclone reaches, and returns it.
func (b *bed) remote() (folder string) {
	b.t.Helper()
	_, err := exec.LookPath("rclone")
	dbtest.Need(b.t, "rclone", err)
	folder = b.path("far away")
	if err := os.Mkdir(folder, 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.write("rclone.conf", []byte("[nas]\ntype = alias\nremote = "+folder+"\n"))
	b.configure("DBACKED_STORAGE", "rclone://nas:back ups", "DBACKED_RCLONE_CONFIG", b.path("rclone.conf"))
	return folder
}

// filesIn are the paths of all files below a folder.
func filesIn(t *testing.T, folder string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, folder+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRemote is the life of backups where rclone puts them, with every command.
func TestRemote(t *testing.T) {
	t.Parallel()
	for _, e := range []*engine{postgres, mariadb} {
		t.Run(e.name, func(t *testing.T) {
			b := newBed(t, e)
			b.small(60000) // some parts
			folder := b.remote()
			b.settings["DBACKED_COMPRESSION"] = "none"
			b.run("check", "shop").ok().says("rclone://nas:back ups can be written").says("another machine could overwrite").says("is not resumed")
			first := b.backup()
			second := b.backup()
			if ids := b.list(); len(ids) != 2 || ids[0] != second {
				t.Fatalf("listed: %v", ids)
			}
			b.run("verify", "shop", "--all").ok()
			into := b.emptyDatabase()
			b.run("restore", "shop", first, "-y", "--db-name", into).ok()
			count := "SELECT count(*) FROM a"
			if got, want := b.server.SQL(t, into, count), b.server.SQL(t, b.db, count); got != want {
				t.Errorf("%s rows instead of %s", got, want)
			}
			b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ok()
			if ids := b.list(); len(ids) != 1 || ids[0] != second {
				t.Errorf("after the prune: %v", ids)
			}
			b.run("remove", "shop", second, "-y").ok()
			if left := filesIn(t, folder); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestRemoteFails names what is wrong with a remote, without its secrets, and
// leaves nothing.
func TestRemoteFails(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	folder := b.remote()
	for name, c := range map[string]struct {
		variable, value string
		status          int
		says            string
	}{
		"no such remote":            {"DBACKED_STORAGE", "rclone://nowhere:x", exitFailure, "rclone listremotes"},
		"described on the line":     {"DBACKED_STORAGE", "rclone://:sftp:hunter2", exitConfig, "everybody can read"},
		"no remote":                 {"DBACKED_STORAGE", "rclone://nas", exitConfig, "names no remote"},
		"an option":                 {"DBACKED_STORAGE", "rclone://--config=x:y", exitConfig, "no remote's name"},
		"no such configuration":     {"DBACKED_RCLONE_CONFIG", "/nonexistent", exitConfig, "no such file"},
		"a server that is not here": {"RCLONE_CONFIG_NAS_REMOTE", "/proc/nowhere", exitFailure, "proc/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.with(c.variable, c.value).run("backup", "shop").ends(c.status, c.says)
			if strings.Contains(r.err, "hunter2") {
				t.Errorf("a secret is shown: %s", r)
			}
		})
	}
	if left := filesIn(t, folder); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestRemoteBeside writes to a folder and by rclone at once; the remote then fails.
func TestRemoteBeside(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(60000)
	b.settings["DBACKED_COMPRESSION"] = "none"
	folder := b.remote()
	mine := b.path("mine")
	if err := os.Mkdir(mine, 0o700); err != nil {
		t.Fatal(err)
	}
	b.configure("DBACKED_STORAGE", "file://"+mine+",rclone://nas:x")
	b.backup()
	for _, place := range []string{"file", "rclone"} {
		b.run("restore", "shop", "-y", "--from", place, "--db-name", b.emptyDatabase()).ok()
	}
	here, there := filesIn(t, mine), filesIn(t, folder)
	if len(here) < 2 || len(there) < 2 {
		t.Errorf("here are %q, there %q", here, there)
	}
	b.with("RCLONE_CONFIG_NAS_REMOTE", "/proc/nowhere").run("backup", "shop").ends(exitPartial, "rclone://nas:x")
	if got := filesIn(t, folder); len(got) != len(there) {
		t.Errorf("after the backup that failed there: %q", got)
	}
	b.run("verify", "shop", "--all", "--from", "file").ok()
}
