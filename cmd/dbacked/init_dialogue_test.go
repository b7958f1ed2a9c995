package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// line is what a dialogue shows and what is typed then.
type line struct{ shown, typed string }

// talks goes through a dialogue.
func (t *terminal) talks(lines ...line) {
	t.b.t.Helper()
	for _, l := range lines {
		t.expect(l.shown)
		t.types(l.typed + "\n")
	}
}

// questions are the dialogue's, with answers that are good, for a user that is
// made.
func (b *bed) questions(user string) []line {
	lines := []line{
		{"What to call these backups", "shop"},
		{"Kind of database", map[string]string{"pg": "PostgreSQL", "mysql": "MariaDB"}[b.e.kind]},
		{"Its host, or the path of its socket", b.server.Socket},
	}
	if b.e == postgres {
		lines = append(lines, line{"Its port [" + fmt.Sprint(b.server.Port) + "]: ", ""})
	}
	return append(lines,
		line{"Make such a user now? [Y/n] ", "y"},
		line{"Name of the database", b.db},
		line{"Name of the user to make", user},
		line{"Run this? [Y/n] ", ""},
		line{"Where to [/var/lib/dbacked]: ", b.path("storage")},
		line{"where nothing else lies. Give it to nobody? [Y/n] ", ""},
		line{"Public key that encrypts", b.path("public.pem")},
		line{"When to back up", "@weekly"},
		line{"Write this? [Y/n] ", ""},
	)
}

// TestInitAsks goes through the dialogue with every answer wrong first, then once
// more over what it wrote.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := unset(t, e)
		user := "u_" + b.db
		k := b.onTerminal(b.root()...)
		k.talks(
			line{"What to call these backups", "../etc"},
			line{"no: a name is", "shop"},
			line{"Kind of database", "oracle"},
			line{`"oracle" is no engine`, e.kind},
			line{"Its host, or the path of its socket", "not a host"},
			line{"is not a host name", "/nonexistent"},
		)
		if e == postgres {
			k.talks(line{"Its port [5432]: ", "x"}, line{`"x" is not a port`, ""})
		}
		k.talks(
			line{"no: no server answers at /nonexistent", b.server.Socket},
		)
		if e == postgres {
			k.talks(line{"Its port [" + fmt.Sprint(b.server.Port) + "]: ", ""})
		}
		k.talks(
			line{"Make such a user now? [Y/n] ", "what"},
			line{"y or n", ""},
			line{"Name of the database [shop]: ", "nosuch"},
			line{"Name of the user to make", user},
			line{`no: there is no database "nosuch"`, b.db},
			line{"Name of the user to make [" + user + "]: ", ""},
			line{"Run this? [Y/n] ", "n"},
			line{"no: then no user is made", ""},
			line{"Name of the user to make", ""},
			line{"Run this? [Y/n] ", "y"},
			line{"Where to", "gs://bucket"},
			line{"does not exist in this version", "/var/lib/dbacked/other"},
			line{"only its own folder", b.path("new/backups")},
			line{"does not exist (if it is a disk, mount that first). Make it? [Y/n] ", "n"},
			line{"no: " + b.path("new/backups") + " does not exist", ""},
			line{"Make it? [Y/n] ", ""},
			line{"Public key that encrypts", b.path("nosuch.pem")},
			line{"there is no such file", b.path("public.pem")},
			line{"When to back up", "soon"},
			line{"no: ", "30 2 * * *"},
		)
		k.expect(b.path("etc/shop.env") + ":")
		k.expect("DBACKED_DB_PASSWORD=…")
		k.talks(line{"Write this? [Y/n] ", ""})
		k.expect("DBACKED_TRUST=dbacked+")
		k.exits(exitOK)
		secret := b.written("DBACKED_DB_PASSWORD")
		if secret == "" || strings.Contains(k.whole.String(), secret) {
			t.Errorf("the password %q, with %q", secret, k.whole.String())
		}
		b.wantInstance()

		before := b.snapshot()
		k = b.onTerminal(b.root("shop")...)
		k.talks(line{"write it anew? [y/N] ", ""})
		k.expect("stays as it is")
		k.exits(exitRefused)
		if b.snapshot() != before {
			t.Error("an answer of no changed something")
		}
		k = b.onTerminal(b.root("shop")...)
		k.talks(line{"write it anew? [y/N] ", "y"}, line{"Kind of database", ""}, line{"Its host", ""})
		if e == postgres {
			k.talks(line{"Its port", ""})
		}
		k.talks(
			line{"Name of the database [" + b.db + "]: ", ""}, line{"User to connect as [" + user + "]: ", ""},
		)
		if e == postgres { // which lets everybody in here
			k.talks(line{"Password (not shown; Enter: the one that is set): ", ""})
		} else {
			k.talks(
				line{"Password (not shown; Enter: the one that is set): ", "wrong"}, line{"no: connection: ", ""},
				line{"User to connect as", ""}, line{"Password (not shown", secret},
			)
		}
		k.talks(
			line{"Where to", ""}, line{"Public key", ""}, line{`When to back up: @hourly, @daily, @weekly, or as cron, "30 2 * * *" [30 2 * * *]: `, ""},
			line{"Write this? [Y/n] ", ""},
		)
		k.exits(exitOK)
		if now := b.snapshot(); now != before {
			t.Errorf("the same answers made something else:\n%s\n%s", before, now)
		}
	})
}

// TestInitInterrupted types Ctrl-C at each question: nothing is left.
func TestInitInterrupted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := unset(t, e)
		user := "u_" + b.db
		b.write("etc/config.json", []byte(`{"agentId": "x"}`))
		before := b.snapshot()
		lines := append([]line{{"is of the former agent: take its answers? [Y/n] ", ""}}, b.questions(user)...)
		for at := range lines {
			k := b.onTerminal(b.root()...)
			k.talks(lines[:at]...)
			k.expect(lines[at].shown)
			k.types("x" + ctrlC)
			k.expect("dbacked: interrupted")
			k.exits(exitInterrupted)
			if now := b.snapshot(); now != before {
				t.Fatalf("Ctrl-C at %q left something:\n%s\n%s", lines[at].shown, before, now)
			}
			if b.users(user) != "0" {
				t.Fatalf("Ctrl-C at %q left the user", lines[at].shown)
			}
		}
		b.must(os.Remove(b.path("etc/config.json")))
		k := b.onTerminal(b.root()...)
		k.talks(b.questions(user)...)
		k.exits(exitOK)
		b.wantInstance()
	})
}

// TestInitGrants gives a user that lacks rights what it lacks, when that is
// chosen.
func TestInitGrants(t *testing.T) {
	t.Parallel()
	b := unset(t, postgres)
	user := "weak_" + b.db
	b.server.SQL(t, "postgres", "CREATE ROLE "+user+" LOGIN")
	k := b.onTerminal(b.answersAsked("--db-username", user)...)
	k.talks(
		line{"Password (not shown; Enter: none): ", ""},
		line{"i ignores it: ", ""},
		line{"i ignores it: ", "u"},
		line{"Name of the database", ""},
		line{"User to connect as [" + user + "]: ", ""},
		line{"Password", ""},
		line{"i ignores it: ", "g"},
		line{"Run this? [Y/n] ", "y"},
		line{"where nothing else lies. Give it to nobody? [Y/n] ", ""},
		line{"Write this? [Y/n] ", ""},
	)
	k.exits(exitOK)
	b.wantInstance()
}
