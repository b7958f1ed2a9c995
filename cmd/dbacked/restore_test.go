package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/encryptor"
)

// TestRestoreRefuses asks for restores that would lose data or cannot work:
// each is refused before anything is written.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(20)
		id := b.backup()
		full, empty := b.emptyDatabase(), b.emptyDatabase()
		b.server.SQL(t, full, "CREATE TABLE precious (i int)")
		other := newBed(t, map[*engine]*engine{postgres: mariadb, mariadb: postgres}[e])
		elsewhere := other.emptyDatabase()
		for _, c := range []struct {
			name string
			args []string
			code int
			says []string
		}{
			{"not empty", []string{"-y", "--db-name", full}, exitRefused, []string{"is not empty", "precious", "--force"}},
			{"not there", []string{"-y", "--db-name", "nowhere"}, exitRefused, []string{"no database", "--create"}},
			{"there already", []string{"-y", "--create", "--db-name", empty}, exitRefused, []string{"exists already"}},
			{"there already, by force", []string{"-y", "--create", "--force", "--db-name", full}, exitRefused, []string{"exists already"}},
			{"nobody to ask", []string{"--db-name", empty}, exitRefused, []string{id, "taken", "into", "no terminal", "-y"}},
			{"nobody to ask, by force", []string{"--force", "--db-name", full}, exitRefused, []string{"NOT EMPTY", "no terminal"}},
			{"no such backup", []string{"20200101T000000Z-aaaaaa", "-y", "--db-name", empty}, exitNotFound, []string{"dbacked list shop"}},
			{"another engine", []string{"-y", "--db-type", other.e.kind, "--db-port", other.settings["DBACKED_DB_PORT"], "--db-username", other.e.tester, "--db-name", elsewhere}, exitRefused, []string{"the target is"}},
		} {
			t.Run(c.name, func(t *testing.T) { b.run(append([]string{"restore", "shop"}, c.args...)...).ends(c.code, c.says...) })
		}
		t.Run("another engine's file", func(t *testing.T) {
			data, err := os.ReadFile(b.newest("0001.dbacked"))
			b.must(err)
			args := []string{"restore", "shop", "--raw-input", "--accept-unproved-origin", "-y", "--db-name"}
			other.start(bytes.NewReader(data), append(args, elsewhere)...).wait().ends(exitRefused, "not a dump")
			other.start(bytes.NewReader(data), append(args, "new_"+b.db, "--create")...).wait().ends(exitRefused, "not a dump")
			if other.exists("new_" + b.db) {
				t.Error("a database was created for it")
			}
		})
		if e == mariadb {
			b.run("restore", "shop", "-y", "--new-database").ends(exitRefused, "needs PostgreSQL", "--create")
		}
		b.wantEmpty(empty)
		other.wantEmpty(elsewhere)
		if n := b.server.SQL(t, full, e.objects); n != "1" {
			t.Errorf("the database that is not empty has %s objects", n)
		}
		b.run("restore", "shop", "-y", "--force", "--db-name", full).ok("NOT EMPTY: 1 objects")
		if b.server.SQL(t, full, "SELECT count(*) FROM b") != "20" || b.server.SQL(t, full, "SELECT count(*) FROM precious") != "0" {
			t.Error("a restore by force lost what the backup does not hold, or did not restore")
		}
	})
}

// TestKeys opens backups with the wrong key: it is refused before the dump is
// read.
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.backup()
	target := b.emptyDatabase()
	args := []string{"restore", "shop", "-y", "--db-name", target}
	sealed, err := os.ReadFile(b.newest("0001.dbacked"))
	b.must(err)
	b.must(os.Remove(b.newest("0001.dbacked"))) // were it read, the error were another

	for name, bits := range map[string]int{"another key": 2048, "a key of another size": 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		b.must(err)
		pem, err := encryptor.MarshalPrivateKey(key, nil)
		b.must(err)
		b.write("other.pem", pem)
		c := b.with("DBACKED_PRIVATE_KEY_FILE", b.path("other.pem"))
		r := c.run(args...).ends(exitDamaged, "wrong private key", encryptor.Fingerprint(&key.PublicKey), "hint: ")
		if strings.Contains(r.err, "not found") {
			t.Errorf("%s: the dump was looked for: %s", name, r)
		}
		raw := append(args[:3:3], "--raw-input", "--accept-unproved-origin", "--db-name", target)
		c.start(bytes.NewReader(sealed), raw...).wait().ends(exitDamaged, "wrong private key")
	}
	vector, err := os.ReadFile("../../pkg/encryptor/testdata/vectors/legacy/private_pkcs8_encrypted.pem")
	b.must(err)
	b.write("encrypted.pem", vector)
	b.write("wrong", []byte("wr0ng-passphrase\n"))
	c := b.with("DBACKED_PRIVATE_KEY_FILE", b.path("encrypted.pem"), "DBACKED_PRIVATE_KEY_PASSPHRASE_FILE", b.path("wrong"))
	for _, command := range [][]string{args, {"verify", "shop"}} {
		if r := c.run(command...).ends(exitConfig, "passphrase"); strings.Contains(r.err, "wr0ng") {
			t.Errorf("the passphrase is in the output: %s", r)
		}
	}
	c.without("DBACKED_PRIVATE_KEY_PASSPHRASE_FILE").run(args...).ends(exitConfig, "no terminal", "DBACKED_PRIVATE_KEY_PASSPHRASE_FILE")
	b.without("DBACKED_PRIVATE_KEY_FILE").run(args...).ends(exitConfig, "DBACKED_PRIVATE_KEY")
	b.wantEmpty(target)
}

// TestCutInput restores from a pipe that ends too soon: PostgreSQL's target is
// as empty as before, and MariaDB sees no statement at all.
func TestCutInput(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(9000) // several chunks
		b.configure("DBACKED_COMPRESSION", "none")
		b.backup()
		data, err := os.ReadFile(b.newest("0001.dbacked"))
		b.must(err)
		for _, cut := range []int{0, 10, 40, 290, 1 << 20, 286 + 2*(1<<20+16), len(data) / 2, len(data) - 1} {
			if cut >= len(data) {
				t.Fatalf("the file has %d bytes only", len(data))
			}
			target := b.emptyDatabase()
			b.wrap(e.restore, `echo started > "$BED/started"; exec "$REAL" "$@"`)
			r := b.start(bytes.NewReader(data[:cut]), "restore", "shop", "--raw-input", "--accept-unproved-origin", "-y", "--db-name", target).wait()
			r.ends(exitDamaged, "standard input")
			if !strings.Contains(r.err, "truncated") && !strings.Contains(r.err, "damaged") {
				t.Errorf("cut at %d: %s", cut, r)
			}
			b.wantEmpty(target)
			if _, err := os.Stat(b.path("started")); err == nil && e == mariadb {
				t.Errorf("cut at %d: the client was started", cut)
			}
		}
		if left, _ := os.ReadDir(b.path("tmp")); len(left) > 0 {
			t.Errorf("left where the input was kept: %v", left)
		}
	})
}

// TestRoles restores to a server that lacks the roles of a backup.
func TestRoles(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(5)
	owner := "owner_" + b.db
	b.server.SQL(t, b.db, "CREATE ROLE "+owner+" LOGIN PASSWORD 'theirs'; ALTER TABLE a OWNER TO "+owner+"; GRANT SELECT ON b TO "+owner)
	b.backup()
	lose := func() {
		b.server.SQL(t, b.db, "REASSIGN OWNED BY "+owner+" TO postgres; DROP OWNED BY "+owner)
		b.server.SQL(t, b.db, "DROP ROLE "+owner)
	}
	lose()
	login := func() string {
		return b.server.SQL(t, "postgres", "SELECT rolcanlogin, rolpassword IS NOT NULL FROM pg_authid WHERE rolname = '"+owner+"'")
	}
	restore := func(flags ...string) (db string, r *result) {
		db = b.emptyDatabase()
		return db, b.run(append([]string{"restore", "shop", "-y", "--db-name", db}, flags...)...)
	}
	db, r := restore()
	r.ends(exitRefused, "missing", owner, "--create-roles", "--globals", "--no-owner --no-privileges")
	b.wantEmpty(db)
	if login() != "" {
		t.Error("a role was made without being asked for")
	}

	db, r = restore("--no-owner", "--no-privileges")
	r.ok()
	if got := b.server.SQL(t, db, "SELECT tableowner FROM pg_tables WHERE tablename = 'a'"); got != b.e.tester {
		t.Errorf("--no-owner: it belongs to %q", got)
	}

	for flag, want := range map[string]string{"--create-roles": "f|f", "--globals": "t|t"} {
		db, r = restore(flag)
		r.ok(owner)
		if got := login(); got != want {
			t.Errorf("%s made a role that can log in and has a password: %q, want %q", flag, got, want)
		}
		if got := b.server.SQL(t, db, "SELECT tableowner FROM pg_tables WHERE tablename = 'a'"); got != owner {
			t.Errorf("%s: it belongs to %q", flag, got)
		}
		b.drop(db)
		b.server.SQL(t, "postgres", "DROP ROLE "+owner)
	}
}

// TestRemove removes backups, after a question.
func TestRemove(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(5)
	one, two := b.backup(), b.backup()
	b.run("remove", "shop", one).ends(exitRefused, "no terminal", "-y")
	b.run("remove", "shop", "20", "-y").ends(exitUsage, "2 backups", "begin with")
	b.run("remove", "shop", "30", "-y").ends(exitNotFound)
	b.wantComplete([]string{one, two})
	b.run("remove", "shop", one, "-y").ok("removed backup " + one)
	b.wantComplete([]string{two})
	b.run("remove", "shop", two).ends(exitRefused, "the only backup")
	b.write(filepath.Join("storage/shop", two, "manifest"), []byte("garbage"))
	b.run("remove", "shop", two, "-y").ok()
	b.wantComplete(nil)
}
