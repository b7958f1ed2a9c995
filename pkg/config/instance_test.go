package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "0", "Shop-1_b.c", strings.Repeat("x", 63)} {
		if !ValidName(name) {
			t.Errorf("%q is valid", name)
		}
	}
	for _, name := range []string{"", ".a", "-a", "_a", "a/b", "a b", "é", "a\n", strings.Repeat("x", 64), "..", "a\x00"} {
		if ValidName(name) {
			t.Errorf("%q is not valid", name)
		}
	}
	got := problems(t, setup{name: "../etc/passwd", need: NeedInstance})
	if wantOne(t, got, `"../etc/passwd" cannot be a NAME`); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestNameLeftOut(t *testing.T) {
	c := mustLoad(t, setup{name: "-", need: all, environ: minimal(t)})
	if c.Instance != "shopdb" || c.StateDirectory != "/var/lib/dbacked/shopdb/.state" {
		t.Errorf("instance %q, state %q", c.Instance, c.StateDirectory)
	}
	// Its file applies as if the name had been given.
	c = mustLoad(t, setup{name: "-", need: NeedStorage, environ: map[string]string{varDBName: "shop"}, envFile: "DBACKED_STORAGE=file:///x\n"})
	if c.Instance != "shop" || c.Storage.Path != "/x" {
		t.Errorf("%+v", c)
	}
	got := problems(t, setup{name: "-", need: all, environ: with(minimal(t), varDBName, "we ird"), files: map[string]string{"a.env": "", "b.env": "", "c.txt": ""}})
	wantOne(t, got, "NAME is missing", `"we ird", cannot serve as one`, "these have a file in DIR: a, b")
	got = problems(t, setup{name: "-", need: NeedStorage})
	wantOne(t, got, "NAME is missing")
	c = mustLoad(t, setup{name: "-", need: NeedDatabase, environ: with(minimal(t), varDBName, "we ird")})
	if c.Instance != "" || c.Database.Name != "we ird" {
		t.Errorf("%+v", c)
	}
}

func TestNameWithoutAFile(t *testing.T) {
	c := mustLoad(t, setup{need: all, environ: minimal(t)})
	if c.Instance != "shop" || len(c.Warnings) != 0 {
		t.Errorf("%+v", c)
	}
	got := problems(t, setup{name: "shp", need: NeedDatabase, files: map[string]string{"shop.env": "", "billing.env": "", "no name.env": ""}})
	wantOne(t, got, "DIR/shp.env (there is no such file)", "did you mean shop?")
	got = problems(t, setup{name: "shop.env", need: NeedDatabase, files: map[string]string{"shop.env": ""}})
	wantOne(t, got, "did you mean shop?")
	many := map[string]string{}
	for _, name := range strings.Split("abcdefghij", "") {
		many[name+name+name+".env"] = ""
	}
	got = problems(t, setup{name: "production", need: NeedDatabase, files: many})
	wantOne(t, got, "these have a file in DIR: aaa, bbb, ccc, ddd, eee, fff, ggg, hhh, …")
	got = problems(t, setup{name: "-", need: NeedDatabase, files: map[string]string{"shop.env": ""}})
	wantOne(t, got, "no NAME.env was read, since no NAME was given; these have a file in DIR: shop")
	got = problems(t, setup{need: NeedDatabase, envFile: "A=1\n", files: map[string]string{"shop2.env": ""}})
	if strings.Contains(strings.Join(got, ""), "did you mean") {
		t.Errorf("a file that was read is not asked about: %q", got)
	}
}

func TestSettingsThatAreNoFiles(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "shop.env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(folder, "config.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := problems(t, setup{flags: Flags{CommonFlags: CommonFlags{ConfigDirectory: folder}}})
	wantOne(t, got, "shop.env is not a regular file")
	wantOne(t, got, "config.json is not a regular file")
}

// asNobody runs f on a thread that the kernel checks files for as the user nobody.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that the thread ends with its goroutine
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestPermissionDenied(t *testing.T) {
	folder, err := os.MkdirTemp("/tmp", "config") // t.TempDir's parent lets nobody through
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // nobody must get in
		t.Fatal(err)
	}
	path := filepath.Join(folder, "shop.env")
	if err := os.WriteFile(path, []byte("DBACKED_STORAGE=file:///x\n"), 0o000); err != nil {
		t.Fatal(err)
	}
	flags := Flags{CommonFlags: CommonFlags{ConfigDirectory: folder}}
	var unreadable, closed, closedButWhole []string
	asNobody(t, func() { unreadable = problems(t, setup{flags: flags, environ: minimal(t)}) })
	if wantOne(t, unreadable, "DIR/shop.env: permission denied: run it as root (sudo dbacked …)"); len(unreadable) != 1 {
		t.Errorf("%q", unreadable)
	}
	if err := os.Chmod(folder, 0o600); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		closed = problems(t, setup{flags: flags, need: NeedDatabase})
		closedButWhole = mustWarn(t, setup{flags: flags, environ: minimal(t), need: NeedDatabase})
	})
	wantOne(t, closed, "DBACKED_DB_NAME (--db-name) is missing")
	wantOne(t, closed, "looked for these in", "shop.env (permission denied: run it as root (sudo dbacked …), or let this user read it)")
	wantOne(t, closedButWhole, "shop.env: permission denied: run it as root (sudo dbacked …)", "it does not apply")
	if err := os.Chmod(folder, 0o700); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
}

// mustWarn is mustLoad that may run outside of the test's own goroutine.
func mustWarn(t *testing.T, s setup) []string {
	t.Helper()
	c, _, err := s.load(t)
	if err != nil {
		t.Error(err)
		return nil
	}
	return c.Warnings
}
