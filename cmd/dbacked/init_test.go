package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/config"
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

// answersAsked is answers on a terminal, where what is left is asked.
func (b *bed) answersAsked(more ...string) []string {
	return slices.DeleteFunc(b.answers(more...), func(a string) bool { return a == "--yes" })
}

// snapshot lists every file of the bed, with what is in it.
func (b *bed) snapshot() string {
	b.t.Helper()
	var out strings.Builder
	b.must(filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == b.path("tmp") || path == b.path("tools") || path == b.path("service") {
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
		r := b.run(b.answers("--create-user", "--db-username", user)...).ok("its rights suffice", "can be written, by nobody").says("DBACKED_TRUST=dbacked+")
		b.wantRights(user)
		b.wantInstance()
		env := b.read("etc/shop.env")
		if secret := b.written("DBACKED_DB_PASSWORD"); secret == "" || strings.Contains(r.out+r.err, secret) {
			t.Errorf("the password %q, with %s", secret, r)
		}

		before := b.snapshot()
		b.run(b.answers("--create-user", "--db-username", user)...).ends(exitRefused, "etc/shop.env exists already", "--force")
		b.run(b.answers("--force", "--schedule", "61 * * * *")...).ends(exitConfig, "minute")
		if b.snapshot() != before {
			t.Errorf("a second run changed what is there:\n%s\n%s", before, b.snapshot())
		}
		b.run(b.root("shop", "--force", "--yes", "--schedule", "@hourly")...).ok()
		if want := strings.Replace(string(env), `"30 2 * * *"`, "@hourly", 1); string(b.read("etc/shop.env")) != want {
			t.Errorf("%s instead of %s", b.read("etc/shop.env"), want)
		}
		b.wantInstance()
	})
}

// wantInstance sees that what init wrote works as it is: nothing else is told.
func (b *bed) wantInstance() {
	b.t.Helper()
	for file, mode := range map[string]os.FileMode{"etc/shop.env": 0o600, "etc/shop.public.pem": 0o644, "state/signing-key": 0o600} {
		info, err := os.Stat(b.path(file))
		b.must(err)
		if info.Mode().Perm() != mode {
			b.t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	b.run("check", "shop").ok()
	b.backup()
	b.run("verify", "shop").ok()
	c, err := config.Load("shop", config.Flags{}, []string{"DBACKED_CONFIG_DIRECTORY=" + b.path("etc")},
		config.NeedDatabase|config.NeedPublicKey|config.NeedStorage|config.NeedSchedule)
	if err != nil || len(c.Warnings) > 0 {
		b.t.Errorf("warnings %q, %v", c.Warnings, err)
	}
}

// written is what NAME.env sets.
func (b *bed) written(variable string) string {
	b.t.Helper()
	assignments, err := config.ReadEnv(b.path("etc/shop.env"))
	b.must(err)
	for _, a := range assignments {
		if a.Name == variable {
			return a.Value
		}
	}
	return ""
}

// wantRights sees that a user has the least rights, and those alone.
func (b *bed) wantRights(user string) {
	b.t.Helper()
	if b.e == postgres {
		got := b.server.SQL(b.t, "postgres", `SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin,
			(SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members WHERE member = r.oid) FROM pg_roles r WHERE rolname = '`+user+`'`)
		if got != "f|f|f|f|f|t|pg_read_all_data" {
			b.t.Errorf("the role is %s", got)
		}
		return
	}
	got := b.server.SQL(b.t, "", "SHOW GRANTS FOR '"+user+"'@'localhost'")
	got = regexp.MustCompile(`IDENTIFIED BY PASSWORD '\S+'`).ReplaceAllString(got, "…")
	who := " TO `" + user + "`@`localhost`"
	want := "GRANT USAGE ON *.*" + who + " …\nGRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `" + strings.ReplaceAll(b.db, "_", `\_`) + "`.*" + who + "\nGRANT SELECT ON `mysql`.`proc`" + who
	if strings.ReplaceAll(got, `\\`, `\`) != want {
		b.t.Errorf("%s instead of %s", got, want)
	}
}

// TestInitSaysWhatIsMissing where nobody can be asked.
func TestInitSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := unset(t, postgres)
	before := b.snapshot()
	b.run(b.root()...).ends(exitUsage, "no terminal", "NAME, --db-type, --db-name, --db-username (or --create-user), --public-key (or --new-private-key), --yes")
	b.run(b.root("shop", "--yes", "--db-type", "pg", "--db-name", "x", "--create-user", "--new-private-key", b.path("x.pem"))...).ends(exitUsage, "missing: --passphrase-file (or --no-passphrase)")
	b.run(b.answers("--create-user", "--db-host", "127.0.0.1")...).ends(exitUsage, "--admin-username and --admin-password-file")
	b.run(b.root("--job")...).ends(exitUsage, "--job")
	b.run(b.root("../x", "--yes")...).ends(exitConfig, "cannot be a NAME")
	b.run(b.answers("--service-user", "nobody-at-all")...).ends(exitUsage, "--service-user")
	if b.snapshot() != before {
		t.Errorf("something was left:\n%s", b.snapshot())
	}
}

// TestInitLeavesNothing of a run whose answers will not do.
func TestInitLeavesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := unset(t, e)
		b.write("wrong", []byte("wrong"))
		user := "u_" + b.db
		wrong := strings.Replace(password, "s", "x", 1)
		b.write("wrongpw", []byte(wrong))
		before := b.snapshot()
		for _, c := range []struct {
			flags []string
			code  int
			words string
		}{
			{[]string{"--create-user", "--db-username", user, "--db-host", "/nonexistent"}, exitFailure, "no server answers at /nonexistent"},
			{[]string{"--create-user", "--db-username", user, "--db-name", "nosuch"}, exitFailure, `there is no database "nosuch"`},
			{[]string{"--create-user", "--db-username", user, "--admin-username", "nosuch", "--admin-password-file", b.path("wrongpw")}, exitFailure, "as the administrator nosuch"},
			{[]string{"--create-user", "--db-username", user, "--storage", "file:///proc/x"}, exitFailure, "/proc/x"},
			{[]string{"--create-user", "--db-username", user, "--storage", "file:///var/lib/dbacked/other"}, exitFailure, "only its own folder"},
			{[]string{"--create-user", "--db-username", user, "--public-key", b.path("wrong")}, exitConfig, "no PEM block"},
			{[]string{"--create-user", "--db-username", user, "--schedule", "0 0 31 2 *"}, exitConfig, "31"},
			{[]string{"--create-user", "--db-username", user, "--new-private-key", b.path("n.pem"), "--no-passphrase"}, exitUsage, "give one of them"},
			{[]string{"--create-user", "--db-username", user, "--state-directory", "/proc/x/y"}, exitFailure, "/proc/x"},
			{[]string{"--create-user", "--db-username", user, "--db-port", "99999"}, exitConfig, "99999"},
			{[]string{"--create-user", "--db-username", user, "--timezone", "Mars/Base"}, exitConfig, "Mars/Base"},
			{[]string{"--db-host", "127.0.0.1", "--db-username", e.tester, "--db-password-file", b.path("wrongpw")}, exitFailure, "connection"},
		} {
			r := b.run(b.answers(c.flags...)...)
			if r.code == exitOK || c.code != exitFailure && r.code != c.code || !strings.Contains(r.err, c.words) {
				t.Errorf("%q should end with %d and say %q: %s", c.flags, c.code, c.words, r)
			}
			if now := b.snapshot(); now != before {
				t.Fatalf("%q left something:\n%s\n%s", c.flags, before, now)
			}
			if n := b.users(user); n != "0" {
				t.Fatalf("%q left the user", c.flags)
			}
		}
	})
}

// TestInitWithAUserThatExists reads its password from a pipe or a file, and says
// which rights it lacks.
func TestInitWithAUserThatExists(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := unset(t, e)
		b.write("password", []byte(password+"\n"))
		user := "weak_" + b.db
		host := []string{"--db-host", "127.0.0.1", "--db-password-file", b.path("password")}
		if e == postgres {
			b.server.SQL(t, "postgres", `CREATE ROLE `+user+` LOGIN PASSWORD '`+password+`' IN ROLE pw`)
		} else {
			b.server.SQL(t, "", "CREATE USER "+user+"@localhost IDENTIFIED BY '"+password+"'; CREATE USER "+user+"@127.0.0.1 IDENTIFIED BY '"+password+"'; GRANT SHOW VIEW ON "+b.db+".* TO "+user+"@127.0.0.1, "+user+"@localhost")
		}
		b.run(b.answers(append(host, "--db-username", user)...)...).ends(exitFailure, "GRANT SELECT ON")
		b.run(b.answers(append(host, "--db-username", user, "--skip-checks")...)...).ok("warning: ", "GRANT SELECT ON")
		b.must(os.Remove(b.path("etc/shop.env")))
		// As an administrator, it is given what it lacks.
		b.run(b.answers("--db-password-file", b.path("password"), "--db-username", user, "--create-user")...).ok("exists already")
		if got := b.written("DBACKED_DB_PASSWORD"); got != password {
			t.Errorf("the password became %q", got)
		}
		b.wantInstance()
		b.must(os.Remove(b.path("etc/shop.env")))
		b.run(b.answers(append(host, "--db-username", e.tester)...)...).ok()
		b.wantInstance()
	})
}

// TestInitImports takes the answers of the former agent.
func TestInitImports(t *testing.T) {
	t.Parallel()
	b := unset(t, postgres)
	object, err := json.Marshal(map[string]any{
		"agentId": "agent-7", "dbType": "pg", "dbHost": "127.0.0.1", "dbPort": b.server.Port, "dbName": b.db,
		"dbUsername": b.e.tester, "dbPassword": password, "publicKey": string(b.read("public.pem")), "daemonName": "x", "odd": "thing",
	})
	b.must(err)
	b.write("former.json", object)
	b.run(b.root("shop", "--yes", "--import", b.path("former.json"), "--storage", b.path("storage"))...).ok("odd", "answers taken")
	b.wantInstance()
	if id := strings.TrimSpace(string(b.read("state/agent-id"))); id != "agent-7" {
		t.Errorf("the agent's id became %q", id)
	}
	b.run(b.root("other", "--yes", "--import", b.path("public.pem"))...).ends(exitConfig, "not a JSON object")
	b.run(b.root("other", "--yes", "--import", b.path("nosuch.json"))...).ends(exitConfig, "nosuch.json")
}

// TestInitMakesKeys whose private half opens what is backed up.
func TestInitMakesKeys(t *testing.T) {
	t.Parallel()
	b := unset(t, postgres)
	b.write("passphrase", []byte("open sesame\n"))
	r := b.run(b.root("shop", "--yes", "--db-type", "pg", "--db-host", b.server.Socket, "--db-port", fmt.Sprint(b.server.Port), "--db-name", b.db,
		"--storage", "file://"+b.path("storage"), "--create-user", "--db-username", "k_"+b.db, "--password-as-credential",
		"--new-private-key", b.path("new.pem"), "--passphrase-file", b.path("passphrase"))...).ok("IMPORTANT", "new.pem")
	if info, err := os.Stat(b.path("new.pem")); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(string(b.read("new.pem")), "ENCRYPTED") {
		t.Errorf("the private key: %v, %v", info, err)
	}
	secret := string(b.read("etc/credstore/dbacked.shop.db-password"))
	if secret == "" || strings.Contains(string(b.read("etc/shop.env")), secret) || b.written("DBACKED_DB_PASSWORD") != "" {
		t.Errorf("the password is in NAME.env: %s", b.read("etc/shop.env"))
	}
	b = b.with("CREDENTIALS_DIRECTORY", b.path("etc/credstore"))
	b.wantInstance()
	target := b.emptyDatabase()
	trust := strings.TrimSpace(strings.TrimPrefix(r.out, "DBACKED_TRUST="))
	b.run("restore", "shop", "-y", "--db-name", target, "--db-username", "postgres", "--trust", trust, "--state-directory", b.path("tmp/elsewhere"),
		"--private-key-path", b.path("new.pem"), "--passphrase-file", b.path("passphrase"), "--no-owner", "--no-privileges").ok()
	// A second run keeps the credential where it is.
	b.run(b.root("shop", "--yes", "--force", "--schedule", "@weekly")...).ok()
	if now := string(b.read("etc/credstore/dbacked.shop.db-password")); now != secret {
		t.Errorf("the password became %q", now)
	}
}
