package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unsetService is an instance that is not configured yet, and a service for it.
func unsetService(t *testing.T, named bool) (*bed, *service) {
	t.Helper()
	b := unset(t, postgres)
	var project []string
	if named {
		project = []string{"--public-key", b.path("public.pem")}
	}
	s := newService(b, project...)
	b.must(os.Remove(b.path("etc/shop.env")))
	b.write("key", []byte(s.Key+"\n"))
	return b, s
}

// serviceAnswers are answers to all that init asks where a service keeps the backups.
func (b *bed) serviceAnswers(s *service, more ...string) []string {
	all := b.answers(append([]string{"--db-username", "postgres", "--api-url", "http://" + s.address}, more...)...)
	for _, flag := range []string{"--storage", "--schedule", "--public-key"} {
		at := slices.Index(all, flag)
		all = slices.Delete(all, at, at+2)
	}
	return all
}

// wantService sees that what init wrote for a service works as it is.
func (b *bed) wantService() {
	b.t.Helper()
	info, err := os.Stat(b.path("etc/shop.env"))
	b.must(err)
	for _, variable := range []string{"DBACKED_SCHEDULE", "DBACKED_STORAGE", "DBACKED_KEEP_LAST"} {
		if b.written(variable) != "" || info.Mode().Perm() != 0o600 {
			b.t.Errorf("%v\n%s", info.Mode(), b.read("etc/shop.env"))
		}
	}
	b.run("check", "shop").ok().says("of the project shop")
	b.backup()
}

// TestInitService sets up an instance whose backups a service keeps, without a
// question, for the key that the project names.
func TestInitService(t *testing.T) {
	t.Parallel()
	b, s := unsetService(t, true)
	var reads service
	b.must(json.Unmarshal(s.admin("key", "create", "shop", "--kind", "restore", "--json"), &reads))
	b.write("reads", []byte(reads.Key))
	b.write("wrong", []byte("dbk_nobody"))
	s.admin("project", "create", "bare")
	before := b.snapshot()
	for _, c := range []struct {
		flags []string
		code  int
		words string
	}{
		{nil, exitUsage, "--apikey-file"},
		{[]string{"--apikey-file", b.path("nosuch")}, exitConfig, "nosuch"},
		{[]string{"--apikey-file", b.path("wrong")}, exitFailure, "does not know the key"},
		{[]string{"--apikey-file", b.path("reads")}, exitFailure, "kind restore"},
		{[]string{"--apikey-file", b.path("key"), "--api-url", "http://127.0.0.1:1"}, exitFailure, "connection refused"},
		{[]string{"--apikey-file", b.path("key"), "--api-url", "backups"}, exitConfig, "use https://host"},
		{[]string{"--apikey-file", b.path("key"), "--storage", b.path("storage")}, exitConfig, "are both given"},
	} {
		b.run(b.serviceAnswers(s, c.flags...)...).ends(c.code, c.words)
		if now := b.snapshot(); now != before {
			t.Fatalf("%q left something:\n%s\n%s", c.flags, before, now)
		}
	}
	r := b.run(b.serviceAnswers(s, "--apikey-file", b.path("key"), "--schedule", "@hourly")...).
		ok("knows the key, of the project shop", "--schedule) is left out", "the project has a public key", "can only add").says("DBACKED_TRUST=dbacked+")
	if strings.Contains(r.out+r.err, s.Key) || b.written("DBACKED_APIKEY") != s.Key || b.written("DBACKED_PUBLIC_KEY") != "" {
		t.Errorf("%s\n%s", r, b.read("etc/shop.env"))
	}
	b.wantService()
	b.run(b.root("shop", "--yes", "--force", "--password-as-credential")...).ok()
	if b.written("DBACKED_APIKEY") != "" || string(b.read("etc/credstore/dbacked.shop.apikey")) != s.Key {
		t.Errorf("the key is no credential: %s", b.read("etc/shop.env"))
	}
	b = b.with("CREDENTIALS_DIRECTORY", b.path("etc/credstore"))
	b.wantService()

	b.run("keygen", "--private-key-path", "other.pem", "--public-key-path", "other.pub.pem", "--no-passphrase").ok()
	s.admin("project", "set", "shop", "--public-key", b.path("other.pub.pem"))
	b.run(b.root("shop", "--yes", "--force")...).ends(exitRefused, "has changed", "--public-key")
	b.run(b.root("shop", "--yes", "--force", "--public-key", b.path("public.pem"))...).ok("another public key")
	b.wantService()
	// Back to a storage: the key goes.
	b.run(b.root("shop", "--yes", "--force", "--storage", b.path("storage"))...).ok()
	b.wantInstance()
}

// TestInitServiceAsks for the address and the key, which are wrong first; a project
// without a key gets one that is made, and Ctrl-C leaves nothing.
func TestInitServiceAsks(t *testing.T) {
	t.Parallel()
	b, s := unsetService(t, true)
	url := "http://" + s.address
	before := b.snapshot()
	answers := slices.DeleteFunc(b.serviceAnswers(s), func(a string) bool { return a == "--yes" || a == "--api-url" || a == url })
	lines := []line{
		{"Password (not shown; Enter: none): ", ""},
		{"Where to [/var/lib/dbacked]: ", url + "/?x=1"},
		{"no: it takes no user", "http://127.0.0.1:1"},
		{"Key of the project there (not shown; Enter: none): ", ""},
		{"no: a key of the project is needed", "dbk_nobody"},
		{"connection refused", url},
		{"Key of the project there (not shown; Enter: the one that is set): ", ""},
		{"does not know the key", ""},
		{"Key of the project there", s.Key + " "},
		{"Encrypt for it? Whoever holds its private key can read the backups. (n: for another) [Y/n] ", "n"},
		{"Public key that encrypts", b.path("public.pem")},
		{"Write this? [Y/n] ", ""},
	}
	for _, at := range []int{3, 8, 9, 11} {
		k := b.onTerminal(answers...)
		k.talks(lines[:at]...)
		k.expect(lines[at].shown)
		k.types("x" + ctrlC)
		k.expect("dbacked: interrupted")
		k.exits(exitInterrupted)
		if now := b.snapshot(); now != before {
			t.Fatalf("Ctrl-C at %q left something:\n%s\n%s", lines[at].shown, before, now)
		}
	}
	k := b.onTerminal(answers...)
	k.talks(lines[:9]...)
	k.expect(`project shop, which is backed up by "@daily", UTC, and due now`)
	k.expect("RSA, 2048 bits, ")
	k.talks(line{"(n: for another) [Y/n] ", ""}, line{"Write this? [Y/n] ", ""})
	k.exits(exitOK)
	if strings.Contains(k.whole.String(), s.Key) {
		t.Errorf("the key was shown: %q", k.whole.String())
	}
	b.wantService()

	before = b.snapshot()
	k = b.onTerminal(b.root("shop")...)
	k.talks(
		line{"write it anew? [y/N] ", "y"}, line{"Kind of database", ""}, line{"Its host", ""}, line{"Its port", ""}, line{"Name of the database", ""},
		line{"User to connect as", ""}, line{"Password", ""}, line{"Where to [" + url + "]: ", ""}, line{"Enter: the one that is set): ", ""},
		line{"(n: for another) [Y/n] ", ""}, line{"Write this? [Y/n] ", ""},
	)
	k.exits(exitOK)
	if now := b.snapshot(); now != before {
		t.Errorf("the same answers made something else:\n%s\n%s", before, now)
	}
}

// TestInitServiceOfFormer takes over what the former agent was told: its key is of the
// hosted service, if nothing else is chosen.
func TestInitServiceOfFormer(t *testing.T) {
	t.Parallel()
	b, s := unsetService(t, false)
	former, err := json.Marshal(map[string]any{
		"agentId": "agent-7", "apikey": s.Key, "dbType": "pg", "dbHost": "127.0.0.1", "dbPort": b.server.Port, "dbName": b.db,
		"dbUsername": b.e.tester, "dbPassword": password, "publicKey": string(b.read("public.pem")),
	})
	b.must(err)
	b.write("former.json", former)
	before := b.snapshot()
	imports := b.root("shop", "--yes", "--import", b.path("former.json"))
	away := b.with("HTTPS_PROXY", "http://127.0.0.1:1") // so that nobody is asked
	away.run(imports...).ends(exitFailure, "https://api.dbacked.com", "connection refused")
	if now := b.snapshot(); now != before {
		t.Errorf("it left something:\n%s\n%s", before, now)
	}
	away.run(append(imports, "--skip-checks")...).ok("warning: ")
	if got := b.written("DBACKED_APIKEY"); got != s.Key || b.written("DBACKED_API_URL") != "" || b.written("DBACKED_STORAGE") != "" {
		t.Errorf("%s", b.read("etc/shop.env"))
	}
	b.must(os.Remove(b.path("etc/shop.env")))
	b.run(append(imports, "--api-url", "http://"+s.address)...).ok("of the project shop")
	b.wantService()
	b.must(os.Remove(b.path("etc/shop.env")))
	b.run(append(imports, "--storage", b.path("storage"))...).ok()
	b.wantInstance()
}

// TestInitNamesTheFolder although it is the usual one, where a key of a service lies
// about: that would apply otherwise.
func TestInitNamesTheFolder(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "config.json", "etc/credstore/dbacked.shop.apikey"} {
		dir := t.TempDir()
		w := &wizard{flags: &initCommand{Root: dir}, configDirectory: dir, publicPEM: string(testKeys().public), draft: &draft{name: "shop", values: map[string]string{
			"DBACKED_DB_TYPE": "pg", "DBACKED_DB_NAME": "shop", "DBACKED_DB_USERNAME": "dbacked", "DBACKED_STORAGE": fileScheme + stateRoot,
		}}}
		if key != "" {
			path := filepath.Join(dir, key)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(`{"apikey": "k"}`), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		p, err := w.plan()
		if err != nil || strings.Contains(string(p.env), "DBACKED_STORAGE=") != (key != "") {
			t.Errorf("with %q: %v\n%s", key, err, p.env)
		}
	}
}
