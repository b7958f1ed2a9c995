package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
)

// grantRounds bounds how often a check may name further rights to give.
const grantRounds = 50

// userMaker knows how one engine makes a user for backups.
type userMaker interface {
	// look learns what the statements depend on, and whether the database and the
	// user exist.
	look(ctx context.Context, run sqlRunner) (database, exists bool, err error)
	create(password string) []statement // the user alone
	grants() []statement                // what a backup needs
	password(password string) []statement
	remove() []string
}

// sqlRunner runs statements as the administrator, in a database.
type sqlRunner func(ctx context.Context, database string, statements ...string) ([][]string, error)

// makeUser has an administrator make the user that reads the database.
func (w *wizard) makeUser(ctx context.Context) error {
	a, err := w.administrator(ctx)
	if err != nil {
		return err
	}
	w.good("%s is let in as the administrator", printable(a.username))
	try := func(ctx context.Context) error {
		mark, password := w.undo.mark(), w.draft.values["DBACKED_DB_PASSWORD"]
		err := w.makeUserAs(ctx, a)
		if err != nil {
			w.undo.back(w.app, mark)
			w.draft.values["DBACKED_DB_PASSWORD"] = password
		}
		return err
	}
	return w.group(ctx, try, w.databaseQuestion(), question{
		variable: "DBACKED_DB_USERNAME", text: "Name of the user to make", check: given("a user"),
		fallback: func() string {
			if w.isPostgres() && w.usesSocket() {
				return w.likelyUser()
			}
			return unitUser
		},
	})
}

// makeUserAs makes the user, or gives one that exists what it lacks, and sees
// that a backup works with it.
func (w *wizard) makeUserAs(ctx context.Context, a *admin) error {
	name, database := w.draft.values["DBACKED_DB_USERNAME"], w.draft.values["DBACKED_DB_NAME"]
	run := func(ctx context.Context, database string, statements ...string) ([][]string, error) {
		return w.sql(ctx, a, database, statements...)
	}
	var maker userMaker = &pgUser{name: name, database: database}
	if !w.isPostgres() {
		maker = &mysqlUser{name: name, database: database}
	}
	there, exists, err := maker.look(ctx, run)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("there is no database %q on this server", database)
	}
	var statements []statement
	if exists {
		w.say("  The user %s exists already: it is given what it lacks.", printable(name))
	} else {
		statements = w.newUser(maker, run)
	}
	ran, err := w.runAsked(ctx, a, append(statements, maker.grants()...))
	if err != nil {
		return err
	}
	if !ran {
		return errors.New("then no user is made: choose another, or leave by Ctrl-C")
	}
	if exists {
		w.rightsStay(name)
	}
	return w.proveUser(ctx, a, maker, exists)
}

// newUser is how a user is made, who goes again when init fails.
func (w *wizard) newUser(maker userMaker, run sqlRunner) []statement {
	d := w.draft
	name, database := d.values["DBACKED_DB_USERNAME"], d.values["DBACKED_DB_NAME"]
	if d.values["DBACKED_DB_PASSWORD"] == "" && !w.byPeer(name) {
		d.values["DBACKED_DB_PASSWORD"] = newPassword()
		w.say("  It gets a random password, which goes into %s.", w.passwordPlace())
	}
	w.undo.add("the database's user "+name, func(ctx context.Context) error {
		if _, exists, err := maker.look(ctx, run); err != nil || !exists {
			return err
		}
		_, err := run(ctx, database, maker.remove()...)
		return err
	})
	return maker.create(d.values["DBACKED_DB_PASSWORD"])
}

// rightsStay says, if init fails, what it does not take back: which of the
// rights the user had before is not known.
func (w *wizard) rightsStay(name string) {
	w.undo.add("what was granted to "+name, func(context.Context) error {
		return errors.New("it may have had some of it before: revoke by hand what is not wanted")
	})
}

// byPeer tells whether the server may know the service by its socket alone.
func (w *wizard) byPeer(name string) bool {
	if !w.isPostgres() || !w.usesSocket() {
		return false
	}
	if w.service != nil {
		return w.service.name == name
	}
	u, err := user.Current()
	return err == nil && u.Username == name
}

// proveUser sees that a backup works with the user, and gives it what a check
// still names.
func (w *wizard) proveUser(ctx context.Context, a *admin, maker userMaker, existed bool) error {
	d := w.draft
	for range grantRounds {
		err := w.look(ctx)
		found, ok := errors.AsType[*findingsError](err)
		if !ok {
			return err
		}
		statements := plain(found.statements()...)
		switch {
		case found.connected():
		case existed && d.values["DBACKED_DB_PASSWORD"] == "" && w.asked:
			if err := w.answer(ctx, w.passwordQuestion()); err != nil {
				return err
			}
			if d.values["DBACKED_DB_PASSWORD"] == "" {
				return found
			}
			continue
		case existed:
			return fmt.Errorf("%w\n       the user exists already: give its password (--db-password-file), or choose another (--db-username)", found)
		case d.values["DBACKED_DB_PASSWORD"] == "":
			w.say("  The server does not know the service by its socket: the user gets a random password, which goes into %s.", w.passwordPlace())
			d.values["DBACKED_DB_PASSWORD"] = newPassword()
			statements = maker.password(d.values["DBACKED_DB_PASSWORD"])
		}
		if w.flags.SkipChecks && len(statements) == 0 {
			w.warn(found.Error())
			return nil
		}
		if len(statements) == 0 {
			return found
		}
		if ran, err := w.runAsked(ctx, a, statements); err != nil || !ran {
			return errors.Join(found, err)
		}
	}
	return errors.New("rights that the check names stay missing although they were given: see the server's log")
}

// newPassword is random: 130 bits, and of every kind that a server's rules may
// ask for.
func newPassword() string {
	text := rand.Text()
	return strings.ToLower(text[:13]) + "-" + text[13:] + "1a"
}

// passwordPlace is where the password goes.
func (w *wizard) passwordPlace() string {
	if slices.Contains(w.secrets, "DBACKED_DB_PASSWORD") {
		return w.credentialPath("db-password")
	}
	return w.envPath()
}
