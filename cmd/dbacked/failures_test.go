package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// attempt makes a backup fail and wants nothing of it to stay: it is named, the
// good one before it is there and still good, and once the cause is gone the
// next run works. What made it fail is ended by mend.
func (b *bed) attempt(t *testing.T, code int, words []string, mend func()) {
	t.Helper()
	c := *b
	c.t = t
	before, list := c.stored(), c.list()
	r := c.run("backup", "shop")
	if r.code == exitOK || code != 0 && r.code != code {
		t.Errorf("exit status %d: %s", r.code, r)
	}
	if r.out != "" {
		t.Errorf("a failed backup has an id: %s", r)
	}
	r.ends(r.code, words...)
	if after := c.stored(); !slices.Equal(before, after) {
		t.Errorf("stored before %q and after %q: %s", before, after, r)
	}
	if now := c.list(); !slices.Equal(list, now) {
		t.Errorf("listed before %q and after %q", list, now)
	}
	mend()
	if len(list) > 0 {
		c.run("verify", "shop", list[0]).ok().says("ok")
	}
	id := c.backup()
	if now := c.list(); len(now) != len(list)+1 || now[0] != id {
		t.Errorf("after the next backup, %s, listed: %q", id, now)
	}
}

// TestToolFails makes the dump program fail in each way.
func TestToolFails(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(3000)
		b.backup()
		for name, c := range map[string]struct {
			script string
			words  []string
		}{
			"exits 1 late":                 {`"$REAL" "$@"; echo "late trouble" >&2; exit 1`, []string{"dump: ", e.dump + " failed: exit status 1", "late trouble"}},
			"killed":                       {`"$REAL" "$@" | head -c 100000; kill -KILL $$`, []string{e.dump + " failed: killed by signal 9", "memory"}},
			"crashes":                      {`"$REAL" "$@" | head -c 100000; kill -SEGV $$`, []string{e.dump + " failed: killed by signal 11"}},
			"killed at once":               {`kill -KILL $$`, []string{"killed by signal 9"}},
			"empty output":                 {`exit 0`, []string{"not complete"}},
			"cut at a block's end, exit 0": {`cat "$BED/cut"`, []string{"not complete"}},
			"cut within a block, exit 0":   {`"$REAL" "$@" | head -c 100000; exit 0`, []string{"not complete"}},
			"last byte missing, exit 0":    {`"$REAL" "$@" | head -c -1; exit 0`, []string{"not complete"}},
			"says the password":            {`echo 'connection string: ` + password + `' >&2; exit 1`, []string{"[secret]"}},
			"another program":              {`echo hello`, []string{"not complete"}},
			"silent":                       {`exit 3`, []string{"exit status 3"}},
		} {
			t.Run(name, func(t *testing.T) {
				b.write("cut", b.cutDump())
				b.wrap(e.dump, c.script)
				b.attempt(t, exitFailure, c.words, func() { b.unwrap(e.dump) })
			})
		}
	})
}

// cutDump is a dump that ends where a whole one could: PostgreSQL's behind the
// last but one table's data, MySQL's before its closing line.
func (b *bed) cutDump() []byte {
	b.t.Helper()
	if b.e == mariadb {
		text := b.server.PlainDump(b.t, b.db)
		return []byte(text[:strings.LastIndex(text, "-- Dump completed")])
	}
	archive, err := exec.Command(filepath.Join(b.server.Bin, "pg_dump"), "-h", b.server.Socket, "-p", fmt.Sprint(b.server.Port), "-U", "postgres", "-Fc", "-Z0", b.db).Output()
	b.must(err)
	for cut := len(archive) - 1; cut > 0; cut-- {
		if archive[cut] != 1 || archive[cut-1] != 0 {
			continue
		}
		v := pgarchive.NewVerifier()
		_, err := v.Write(archive[:cut])
		if cerr := v.Close(); err == nil && cerr != nil && strings.Contains(cerr.Error(), "the data of 1 of") {
			return archive[:cut]
		}
	}
	b.t.Fatal("no end of a block found")
	return nil
}

// TestDatabaseFails makes the server refuse what a backup needs.
func TestDatabaseFails(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(10)
		b.backup()
		set := func(name, value string) (mend func()) {
			old := b.settings[name]
			b.configure(name, value)
			return func() { b.configure(name, old) }
		}
		t.Run("wrong password", func(t *testing.T) {
			mend := set("DBACKED_DB_PASSWORD", password+"x")
			b.attempt(t, exitFailure, []string{"prepare: ", e.tester, "password"}, mend)
		})
		t.Run("nobody listens", func(t *testing.T) {
			mend := set("DBACKED_DB_PORT", "1")
			b.attempt(t, exitFailure, []string{"prepare: ", "127.0.0.1", "refused"}, mend)
		})
		t.Run("no such database", func(t *testing.T) {
			mend := set("DBACKED_DB_NAME", "nowhere")
			b.attempt(t, exitFailure, []string{"prepare: ", "nowhere"}, mend)
		})
		t.Run("unreadable table", func(t *testing.T) {
			limited := "pw_" + b.db
			if e == postgres {
				b.server.SQL(t, b.db, "CREATE ROLE "+limited+" LOGIN PASSWORD '"+password+"' IN ROLE pw; GRANT SELECT ON a TO "+limited)
			} else {
				b.server.SQL(t, b.db, "CREATE USER "+limited+"@'127.0.0.1' IDENTIFIED BY '"+password+"'; GRANT SELECT ON "+b.db+".a TO "+limited+"@'127.0.0.1'")
			}
			mend := set("DBACKED_DB_USERNAME", limited)
			b.run("check", "shop").ends(exitFailure).says("fail", "GRANT", limited)
			words := []string{"dump: ", "b", "GRANT"}
			if e == mariadb {
				words = []string{"GRANT"}
			}
			b.attempt(t, exitFailure, words, mend)
		})
	})
}

// TestServerStops stops the server while a dump is half through.
func TestServerStops(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(10)
		b.backup()
		own := newBedOn(t, e, e.startOwn(t))
		own.small(30000)
		b.wrap(e.dump, `set -o pipefail; "$REAL" "$@" | { head -c 100000; echo > "$BED/half"; read line < "$BED/go"; cat; }`)
		half, stopped := b.fifo("half"), b.fifo("go")
		before := b.stored()
		c := b.with("DBACKED_DB_PORT", own.settings["DBACKED_DB_PORT"], "DBACKED_DB_NAME", own.db)
		r := c.start(nil, "backup", "shop")
		r.reached(half)
		own.server.Stop(t)
		b.must(os.WriteFile(stopped, []byte("go\n"), 0)) // no dump can have ended before
		r.wait().ends(exitFailure, "dump: ", e.dump+" failed", "server")
		if after := b.stored(); !slices.Equal(before, after) {
			t.Errorf("stored before %q and after %q", before, after)
		}
		b.unwrap(e.dump)
		b.backup()
	})
}

// fifo makes a named pipe, on which a wrapped tool says where it is.
func (b *bed) fifo(name string) string {
	b.t.Helper()
	b.must(unix.Mkfifo(b.path(name), 0o600))
	return b.path(name)
}

// reached waits until a wrapped tool writes to a fifo, and returns what.
func (r *running) reached(fifo string) string {
	r.b.t.Helper()
	got := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(fifo)
		got <- strings.TrimSpace(string(text))
	}()
	select {
	case text := <-got:
		return text
	case <-r.ended:
		if f, err := os.OpenFile(fifo, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			f.Close() // frees the reader
		}
		r.b.t.Fatalf("it ended before: %s", r.wait())
		return ""
	}
}

// TestStorageFails lets the storage fail in each way.
func TestStorageFails(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(10)
		b.mount("storage", "size=3m")
		b.configure("DBACKED_COMPRESSION", "none")
		b.backup()
		t.Run("full", func(t *testing.T) {
			big := b.db
			b.db += "_big"
			b.small(12000)
			b.configure("DBACKED_DB_NAME", b.db)
			b.attempt(t, exitFailure, []string{"upload: ", "no space left on device", "is full", "DBACKED_STORAGE"}, func() {
				b.db = big
				b.configure("DBACKED_DB_NAME", b.db)
			})
		})
		t.Run("read-only", func(t *testing.T) {
			remount := func(flags uintptr) {
				b.must(unix.Mount("", b.path("storage"), "", unix.MS_REMOUNT|flags, ""))
			}
			remount(unix.MS_RDONLY)
			b.attempt(t, exitFailure, []string{"read-only", "mount"}, func() { remount(0) })
		})
		t.Run("gone", func(t *testing.T) {
			b.configure("DBACKED_STORAGE", "file://"+b.path("nowhere"))
			r := b.run("backup", "shop").ends(exitFailure, b.path("nowhere"), "mkdir", "DBACKED_STORAGE")
			if r.out != "" {
				t.Error("a failed backup has an id")
			}
			for _, command := range []string{"list", "verify", "restore"} {
				b.run(command, "shop").ends(exitFailure, b.path("nowhere"))
			}
			if _, err := os.Stat(b.path("nowhere")); err == nil {
				t.Error("the folder was made: were it a disk's, the backup would be on another")
			}
			b.configure("DBACKED_STORAGE", "file://"+b.path("storage"))
			b.backup()
		})
	})
}

// mount puts a small file system of its own on a folder of the bed.
func (b *bed) mount(name, options string) {
	b.t.Helper()
	dbtest.Need(b.t, "mounting a tmpfs", unix.Mount("tmpfs", b.path(name), "tmpfs", 0, options))
	b.t.Cleanup(func() { unix.Unmount(b.path(name), unix.MNT_DETACH) })
}
