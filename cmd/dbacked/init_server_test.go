package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// locked is a PostgreSQL that lets its users in by the rules of a pg_hba.conf.
func locked(t *testing.T, rules string) *bed {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pg_hba.conf")
	for dir := filepath.Dir(file); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("local all postgres peer map=all\n"+rules+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ident := filepath.Join(filepath.Dir(file), "pg_ident.conf")
	if err := os.WriteFile(ident, []byte("all root postgres\nall postgres postgres\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := dbtest.Postgres(t, "hba_file="+file, "ident_file="+ident)
	b := newBedOn(t, postgres, s)
	b.must(os.Remove(b.path("etc/shop.env")))
	b.must(os.Chmod(b.dir, 0o755))
	b = b.without("DBACKED_PRIVATE_KEY_FILE")
	b.small(10)
	return b
}

// TestInitByPeer has the server know the service by its socket: there is no
// password. What needs rights of its own gets them.
func TestInitByPeer(t *testing.T) {
	t.Parallel()
	b := locked(t, "local all all peer")
	b.server.SQL(t, b.db, `ALTER TABLE a ENABLE ROW LEVEL SECURITY; SELECT lo_create(4711); CREATE SCHEMA "o'dd s"; CREATE TABLE "o'dd s"."T" (i int)`)
	b.run(b.answers("--create-user")...).ok(`CREATE ROLE "nobody" LOGIN;`, "BYPASSRLS", "LARGE OBJECT 4711")
	if b.written("DBACKED_DB_PASSWORD") != "" || b.written("DBACKED_DB_USERNAME") != "nobody" {
		t.Errorf("%s", b.read("etc/shop.env"))
	}
	b.wantInstance()
	for _, file := range []string{"state/signing-key", "storage/shop"} {
		info, err := os.Stat(b.path(file))
		b.must(err)
		if who := fmt.Sprint(ownerOf(info)); who != "65534" {
			t.Errorf("%s belongs to %s", file, who)
		}
	}
}

func ownerOf(info os.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

// TestInitBySCRAM makes a password where the server wants one: also of who
// comes by the socket, and whose name the server would know.
func TestInitBySCRAM(t *testing.T) {
	t.Parallel()
	b := locked(t, "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256")
	b.run(b.answers("--create-user")...).ok("ALTER ROLE \"nobody\" PASSWORD '…'")
	secret := b.written("DBACKED_DB_PASSWORD")
	b.wantInstance()
	if kept := b.server.SQL(t, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'nobody'"); !strings.HasPrefix(kept, "SCRAM-SHA-256$4096:") {
		t.Errorf("the server keeps %q", kept)
	}
	// A second instance by the same user, which keeps its password.
	b.run(b.root("other", "--yes", "--db-type", "pg", "--db-host", b.server.Socket, "--db-port", fmt.Sprint(b.server.Port), "--db-name", b.db,
		"--storage", "file://"+b.path("storage"), "--public-key", b.path("public.pem"), "--create-user")...).ends(exitFailure, "--db-password-file", "exists already")
	b.write("secret", []byte(secret))
	b.write("admin", []byte("the-admin's"))
	b.server.SQL(t, "postgres", "ALTER ROLE postgres PASSWORD 'the-admin''s'")
	b.must(os.Remove(b.path("etc/shop.env")))
	b.run(b.answers("--create-user", "--db-host", "127.0.0.1", "--db-username", "tcp", "--admin-username", "postgres", "--admin-password-file", b.path("admin"))...).ok("CREATE ROLE \"tcp\"")
	b.wantInstance()
}

// TestInitBeforeReadAll gives the rights one by one, as on servers that have no
// role that may read everything.
func TestInitBeforeReadAll(t *testing.T) {
	t.Parallel()
	b := unset(t, postgres)
	user := "old_" + b.db
	b.server.SQL(t, b.db, `CREATE SCHEMA "o'dd "" s"; CREATE TABLE "o'dd "" s"."T" (i serial)`)
	run := func(sql ...string) [][]string {
		var rows [][]string
		for _, s := range sql {
			rows = nil
			for row := range strings.Lines(b.server.SQL(t, b.db, s)) {
				rows = append(rows, strings.Split(strings.TrimSpace(row), "|"))
			}
		}
		return rows
	}
	u := &pgUser{name: user, database: b.db, version: 130000}
	there, exists, err := u.look(t.Context(), func(_ context.Context, _ string, sql ...string) ([][]string, error) { return run(sql...), nil })
	if err != nil || !there || exists || len(u.schemas) != 2 || len(u.owners) != 1 {
		t.Fatalf("%v %v %+v %v", there, exists, u, err)
	}
	for _, s := range append(u.create(""), u.grants()...) {
		run(s.sql)
	}
	b.server.SQL(t, b.db, `CREATE TABLE later (i serial); CREATE SCHEMA later; CREATE TABLE later.t (i int)`)
	b.run(b.answers("--db-username", user)...).ok("its rights suffice")
	b.wantInstance()
	run(u.remove()...)
}

// TestInitOnOtherServers makes the user on the newest servers.
func TestInitOnOtherServers(t *testing.T) {
	if testing.Short() {
		t.Skip("several servers")
	}
	for _, c := range []struct {
		name string
		kind *engine
		on   func(t *testing.T) *dbtest.Server
		bins []string
		want string
	}{
		{"MySQL 9", mariadb, func(t *testing.T) *dbtest.Server { return dbtest.MySQLFrom(t, dbtest.Chroot(t, "sid")) }, []string{"mysqldump", "mysql"}, "GRANT SHOW_ROUTINE ON *.*"},
		{"MariaDB 11", mariadb, func(t *testing.T) *dbtest.Server { return dbtest.MariaDBFrom(t, dbtest.Chroot(t, "trixie")) }, []string{"mariadb-dump", "mariadb"}, "SHOW CREATE ROUTINE"},
		{"PostgreSQL 18", postgres, func(t *testing.T) *dbtest.Server { return dbtest.PostgresFrom(t, dbtest.Chroot(t, "sid"), "18") }, []string{"pg_dump", "pg_dumpall", "pg_restore"}, "pg_read_all_data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBedOn(t, c.kind, c.on(t))
			b.must(os.Remove(b.path("etc/shop.env")))
			b = b.without("DBACKED_PRIVATE_KEY_FILE")
			if b.e == postgres {
				b.small(10)
			} else {
				b.server.SQL(t, "", "CREATE DATABASE "+b.db)
				b.server.SQL(t, b.db, "CREATE TABLE a (i int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE VIEW v AS SELECT * FROM a; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 7")
			}
			// Root, who alone may enter the tree of its programs.
			b.run(b.answers("--service-user", "root", "--create-user", "--db-username", "u_"+b.db, "--tools-path", b.server.Wrappers(t, c.bins...))...).ok(c.want)
			b.wantInstance()
		})
	}
}

// TestStorageDropIn has systemd itself read what is written for it.
func TestStorageDropIn(t *testing.T) {
	const systemd = "/lib/systemd/systemd"
	if _, err := os.Stat(systemd); err != nil {
		dbtest.Need(t, "the package systemd", err)
	}
	for _, path := range []string{"/srv/backups", `/srv/a b%i"q\x'é:$HOME;#~`, "/home/x y", "/srv/-x"} {
		dir, err := os.MkdirTemp("", "unit")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		units, err := filepath.Glob("../../systemd/*@.s*")
		if err != nil || len(units) == 0 {
			t.Fatalf("no units: %v", err)
		}
		text := storageDropIn(&config.Config{Instance: "shop", Storage: config.Storage{Scheme: "file", Path: path}})
		files := map[string]string{"dbacked@shop.service.d/storage.conf": text}
		for _, u := range units {
			unit, err := os.ReadFile(u)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(u)] = string(unit)
		}
		for name, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("runuser", "-u", "nobody", "--", "env", "SYSTEMD_UNIT_PATH="+dir+":", systemd, "--test", "--system", "--unit=dbacked@shop.service")
		out, err := cmd.CombinedOutput() // which says what it read, however it ends
		if strings.Contains(string(out), "Ignoring") && strings.Contains(string(out), ".conf") {
			t.Errorf("%q: systemd does not like\n%s", path, text)
		}
		want := []string{"RequiresMountsFor: " + path + " (origin-file)", "ReadWritePaths: -" + path + "\n"}
		if strings.HasPrefix(path, "/home") {
			want = append(want, "ProtectHome: tmpfs\n", "BindPaths: -"+path+":"+path+":rbind\n")
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%q: systemd (%v) does not read %q of\n%s", path, err, w, text)
			}
		}
	}
	for _, path := range []string{stateRoot, stateRoot + "/shop", stateRoot + "/shop/x"} {
		if text := storageDropIn(&config.Config{Instance: "shop", Storage: config.Storage{Scheme: "file", Path: path}}); text != "" {
			t.Errorf("%s needs no drop-in: %s", path, text)
		}
	}
}

// TestPathsDropIn shows the service what its sandbox hides.
func TestPathsDropIn(t *testing.T) {
	d := config.Database{Type: config.MySQL, Host: "/tmp/x/my.sock", TLS: config.TLS{CA: "/home/x/ca.pem"}, ToolsPath: []string{"/opt/pg", "/root/100%"}}
	got := pathsDropIn(&config.Config{Instance: "shop", Database: d})
	for _, line := range []string{"\nProtectHome=tmpfs\n", "\nBindReadOnlyPaths=-/tmp/x\n", "\nBindReadOnlyPaths=-/home/x/ca.pem\n", "\nBindReadOnlyPaths=\"-/root/100%%\"\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in %s", line, got)
		}
	}
	if strings.Contains(got, "/opt") {
		t.Errorf("%s", got)
	}
	if got := pathsDropIn(&config.Config{Instance: "shop", Database: config.Database{Host: "/run/mysqld/mysqld.sock"}}); got != "" {
		t.Errorf("%s", got)
	}
}

// TestInitByUnixSocket lets root in as Debian's MariaDB does, and a user from
// where the server sees it come.
func TestInitByUnixSocket(t *testing.T) {
	t.Parallel()
	s := dbtest.MariaDB(t)
	s.SQL(t, "", "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket")
	b := newBedOn(t, mariadb, s)
	b.must(os.Remove(b.path("etc/shop.env")))
	b.must(os.Chmod(b.dir, 0o755))
	b = b.without("DBACKED_PRIVATE_KEY_FILE")
	b.small(10)
	b.run(b.answers("--create-user")...).ok("CREATE USER 'dbacked'@'localhost'")
	b.wantInstance()
	b.must(os.Remove(b.path("etc/shop.env")))

	b.write("admin", []byte("adm'in\\"))
	s.SQL(t, "", `CREATE USER boss@'127.0.0.1' IDENTIFIED BY 'adm''in\\'; CREATE USER boss@localhost IDENTIFIED BY 'adm''in\\';
		GRANT ALL ON *.* TO boss@'127.0.0.1' WITH GRANT OPTION; GRANT ALL ON *.* TO boss@localhost WITH GRANT OPTION`)
	b.run(b.answers("--create-user", "--db-host", "127.0.0.1", "--db-username", "tcp", "--admin-username", "boss", "--admin-password-file", b.path("admin"))...).ok("CREATE USER 'tcp'@")
	b.wantInstance()
}

// TestInitEnables has systemctl enable the unit in a tree, and takes a drop-in
// away that is needed no more.
func TestInitEnables(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemctl"); err != nil {
		dbtest.Need(t, "systemctl", err)
	}
	b := unset(t, postgres)
	b.must(os.MkdirAll(b.path("usr/lib/systemd/system"), 0o755))
	b.must(os.CopyFS(b.path("usr/lib/systemd/system"), os.DirFS("../../systemd")))
	user := "e_" + b.db
	b.server.SQL(t, "postgres", "CREATE ROLE "+user+" SUPERUSER LOGIN")
	b.run(b.answers("--db-username", user, "--no-enable")...).ok("To start it")
	link := b.path("etc/systemd/system/multi-user.target.wants/dbacked@shop.service")
	if _, err := os.Lstat(link); err == nil {
		t.Error("--no-enable enables")
	}
	dropIn := b.path("etc/systemd/system/dbacked@shop.service.d/storage.conf")
	if !strings.Contains(string(b.read(strings.TrimPrefix(dropIn, b.dir))), "ReadWritePaths=") {
		t.Error("there is no drop-in")
	}
	b.run(b.answers("--force")...).ok("is enabled")
	if _, err := os.Lstat(link); err != nil {
		t.Error(err)
	}
	b.write(strings.TrimPrefix(dropIn, b.dir), []byte("# mine\n"))
	b.run(b.answers("--force")...).ok("stays as it is")
	if string(b.read(strings.TrimPrefix(dropIn, b.dir))) != "# mine\n" {
		t.Error("a drop-in of somebody's own is overwritten")
	}
}
