package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
)

// account settles the database and who reads it.
func (w *wizard) account(ctx context.Context) error {
	d := w.draft
	create := w.flags.CreateUser
	if w.asked && !create && d.values["DBACKED_DB_USERNAME"] == "" {
		w.say("\nA user of its own, with no more rights than a backup needs, is best. Making one takes an administrator's access.")
		yes, err := w.agrees(ctx, "Make such a user now?")
		if err != nil {
			return err
		}
		create = yes
	}
	if create {
		return w.makeUser(ctx)
	}
	return w.group(ctx, w.tryDatabase, w.databaseQuestion(), question{
		variable: "DBACKED_DB_USERNAME", text: "User to connect as", fallback: w.likelyUser, check: given("a user"),
	}, w.passwordQuestion())
}

func (w *wizard) databaseQuestion() question {
	return question{
		variable: "DBACKED_DB_NAME", text: "Name of the database", check: given("the database's name"),
		fallback: func() string { return w.draft.name },
	}
}

// likelyUser is who peer authentication lets in, or what the manual uses.
func (w *wizard) likelyUser() string {
	if w.service != nil {
		return w.service.name
	}
	return unitUser
}

func (w *wizard) passwordQuestion() question {
	return question{
		variable: "DBACKED_DB_PASSWORD", text: "Password", secret: true,
		skip: func() bool { return w.draft.values["DBACKED_DB_PASSWORD_FILE"] != "" },
	}
}

// findingsError is what a check found that would make a backup fail.
type findingsError struct{ findings []dumper.Finding }

func (e *findingsError) Error() string {
	var lines []string
	for _, f := range e.findings {
		line := f.Subject + ": " + f.Message
		if f.Fix != "" && !strings.Contains(f.Message, f.Fix) {
			line += "\n       " + f.Fix
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n     ")
}

// connected tells whether the connection stood, so that it is rights that are
// missing.
func (e *findingsError) connected() bool {
	for _, f := range e.findings {
		if f.Subject == "connection" {
			return false
		}
	}
	return true
}

// What a person chose after a check that failed: to look once more, or to give
// other answers.
var (
	errAgain   = errors.New("look again")
	errAnother = errors.New("give other answers")
)

// look checks the database as the service will reach it.
func (w *wizard) look(ctx context.Context) error {
	result, err := w.as(ctx, w.service, w.jobOf("database"))
	if err != nil {
		return err
	}
	var bad []dumper.Finding
	for _, f := range result.Findings {
		switch f.Level {
		case dumper.Fail:
			bad = append(bad, f)
		case dumper.Warn:
			w.warn(f.Subject + ": " + printable(f.Message+fixOf(f)))
		case dumper.OK:
			if f.Subject == "connection" {
				w.good("%s", printable(f.Message))
			}
		}
	}
	if len(bad) > 0 {
		return &findingsError{bad}
	}
	w.good("its rights suffice, and the dump program is there")
	return nil
}

// tryDatabase is look, with the choices that there are when rights are missing.
func (w *wizard) tryDatabase(ctx context.Context) error {
	err := w.look(ctx)
	found, ok := errors.AsType[*findingsError](err)
	if !ok {
		return err
	}
	if w.flags.SkipChecks {
		w.warn(found.Error())
		return nil
	}
	if !w.asked || !found.connected() {
		return found
	}
	w.no(found)
	choice, err := w.ask(ctx, "Enter looks again, when that is mended; g grants what is missing, as an administrator; u asks for another user; i ignores it: ")
	if err != nil {
		return err
	}
	switch strings.ToLower(choice) {
	case "":
		return errAgain
	case "g":
		if err := w.grant(ctx, found); err != nil {
			w.no(err)
		}
		return errAgain
	case "i":
		return nil
	}
	return errAnother
}

// grant runs the statements that a check names.
func (w *wizard) grant(ctx context.Context, found *findingsError) error {
	user := w.draft.values["DBACKED_DB_USERNAME"]
	admin, err := w.administrator(ctx)
	if err != nil {
		return err
	}
	fixes := found.statements()
	if len(fixes) == 0 {
		return fmt.Errorf("no statement of an administrator mends it for %s", user)
	}
	ran, err := w.runAsked(ctx, admin, plain(fixes...))
	if ran {
		w.rightsStay(user)
	}
	return err
}

// statements are the findings' remedies that are rights to give.
func (e *findingsError) statements() []string {
	var out []string
	for _, f := range e.findings {
		fix, _, _ := strings.Cut(f.Fix, " -- ")
		fix = strings.TrimSuffix(strings.TrimSpace(fix), ";")
		if strings.HasPrefix(fix, "GRANT ") || strings.HasPrefix(fix, "ALTER ROLE ") {
			out = append(out, fix)
		}
	}
	return out
}

// usesSocket tells whether the server is reached without a network.
func (w *wizard) usesSocket() bool { return strings.HasPrefix(w.draft.values["DBACKED_DB_HOST"], "/") }

func (w *wizard) isPostgres() bool { return w.draft.values["DBACKED_DB_TYPE"] == config.Postgres }

func fixOf(f dumper.Finding) string {
	if f.Fix == "" {
		return ""
	}
	return " (" + f.Fix + ")"
}
