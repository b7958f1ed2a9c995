package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"
)

// admin is an administrator's access to the server.
type admin struct {
	username, password string
	who                *identity // whom the server knows its socket's other end as; nil: this process
}

// administrator finds an access that works: on a local socket root's own, else
// the one that is given.
func (w *wizard) administrator(ctx context.Context) (*admin, error) {
	if w.admin != nil {
		return w.admin, nil
	}
	a, err := w.givenAdmin()
	if err != nil {
		return nil, err
	}
	for {
		if a != nil {
			reason := w.tryAdmin(ctx, a)
			if reason == nil {
				w.admin = a
				return a, nil
			}
			if ctx.Err() != nil || !w.asked {
				return nil, fmt.Errorf("as the administrator %s: %w", a.username, reason)
			}
			w.no(fmt.Errorf("as the administrator %s: %w", a.username, reason))
		}
		if !w.asked {
			return nil, &usageError{fmt.Errorf("making a user takes an administrator's access: --admin-username and --admin-password-file are missing")}
		}
		if a, err = w.askAdmin(ctx); err != nil {
			return nil, err
		}
	}
}

// givenAdmin is who the flags say, or root's way in; nil when there is none.
func (w *wizard) givenAdmin() (*admin, error) {
	a := &admin{username: w.flags.AdminUsername}
	if w.flags.AdminPasswordFile != "" {
		text, err := secretFrom(w.flags.AdminPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--admin-password-file: %w", err)
		}
		a.password = text
	}
	if a.username == "" {
		if !w.usesSocket() || os.Geteuid() != 0 {
			return nil, nil
		}
		a.username = w.usualAdmin()
	}
	w.peer(a)
	return a, nil
}

// peer has an administrator of that name come in as the system's user, whom
// the server may know by its socket.
func (w *wizard) peer(a *admin) {
	if a.password != "" || !w.usesSocket() || os.Geteuid() != 0 {
		return
	}
	if who, err := lookUp(user.Lookup(a.username)); err == nil {
		a.who = who
	}
}

func (w *wizard) usualAdmin() string {
	if w.isPostgres() {
		return "postgres"
	}
	return "root"
}

func (w *wizard) askAdmin(ctx context.Context) (*admin, error) {
	name, err := w.ask(ctx, prompt("Administrator of the server", w.usualAdmin()))
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = w.usualAdmin()
	}
	password, err := w.askSecret(ctx, "Password of "+printable(name)+" (not shown; Enter: none): ")
	if err != nil {
		return nil, err
	}
	a := &admin{username: name, password: string(password)}
	w.peer(a)
	return a, nil
}

// sql has an administrator run statements, in a database where the engine is
// PostgreSQL, and returns the rows of the last.
func (w *wizard) sql(ctx context.Context, a *admin, database string, statements ...string) ([][]string, error) {
	j := w.jobOf("sql")
	j.Statements = statements
	var environ []string
	for _, assignment := range j.Environ {
		if !strings.HasPrefix(assignment, "DBACKED_DB_PASSWORD") && !strings.HasPrefix(assignment, "DBACKED_DB_USERNAME=") && !strings.HasPrefix(assignment, "DBACKED_DB_NAME=") {
			environ = append(environ, assignment)
		}
	}
	j.Environ = append(environ, "DBACKED_DB_USERNAME="+a.username, "DBACKED_DB_PASSWORD="+a.password, "DBACKED_DB_NAME="+database)
	result, err := w.as(ctx, a.who, j)
	return result.Rows, err
}

// tryAdmin sees whether the access works. The database may not exist yet.
func (w *wizard) tryAdmin(ctx context.Context, a *admin) error {
	_, err := w.sql(ctx, a, "template1", "SELECT 1")
	return err
}

// statement is SQL, and how it is shown if that differs: without a secret.
type statement struct{ sql, shown string }

func plain(statements ...string) []statement {
	var out []statement
	for _, s := range statements {
		out = append(out, statement{sql: s})
	}
	return out
}

func (s statement) String() string {
	if s.shown != "" {
		return s.shown
	}
	return s.sql
}

// runAsked shows statements, and runs them if that is agreed to.
func (w *wizard) runAsked(ctx context.Context, a *admin, statements []statement) (ran bool, err error) {
	w.say("\nAs %s, on %s:", printable(a.username), printable(w.draft.values["DBACKED_DB_HOST"]))
	texts := make([]string, len(statements))
	for i, s := range statements {
		w.say("    %s;", printable(s.String()))
		texts[i] = s.sql
	}
	yes, err := w.agrees(ctx, "Run this?")
	if err != nil || !yes {
		return false, err
	}
	_, err = w.sql(ctx, a, w.draft.values["DBACKED_DB_NAME"], texts...)
	return true, err
}
