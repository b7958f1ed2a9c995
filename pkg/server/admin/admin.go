// Package admin is what an administrator of the service can do: with projects, their
// keys, whom alerts are told to, and tokens. The command line and the REST API both
// act by it, so that both refuse the same, and the audit log tells of both.
//
//	a := admin.New(store, "alice", time.Now)
//	p, err := a.CreateProject(ctx, admin.NewProject{Name: "shop", Schedule: "@daily", Timezone: "UTC"})
//
// What is only looked at is read from package records; [ShowProject] and its like are
// how both show it.
//
// An error that whoever asked can do something about is a [*Invalid], a [*NotFound]
// or a [*Refused]; any other is the service's own.
package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Admin does what somebody asks for, and enters it in the audit log.
type Admin struct {
	records *records.Store
	actor   string
	now     func() time.Time
}

// New acts for somebody, by whose name the audit log calls them.
func New(r *records.Store, actor string, now func() time.Time) *Admin {
	return &Admin{records: r, actor: actor, now: func() time.Time { return now().Truncate(time.Millisecond) }} // as it is stored
}

func (a *Admin) audit(ctx context.Context, action, projectID, detail string) error {
	return a.records.Audit(ctx, a.actor, action, projectID, detail, a.now())
}

// Invalid is something that was asked for wrongly.
type Invalid struct {
	Field   string // as it is called in JSON
	Message string
}

func (e *Invalid) Error() string { return e.Message }

func invalidf(field, format string, args ...any) error {
	return &Invalid{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Kinds of what is not found.
const (
	KindProject = "project"
	KindKey     = "key"
	KindBackup  = "backup"
	KindTarget  = "target"
	KindToken   = "token"
)

// NotFound is something that there is none of.
type NotFound struct{ Kind, Name string }

func (e *NotFound) Error() string { return fmt.Sprintf("there is no %s %.200q", e.Kind, e.Name) }

// missing makes a NotFound of records.ErrNotFound.
func missing(err error, kind, name string) error {
	if errors.Is(err, records.ErrNotFound) {
		return &NotFound{Kind: kind, Name: name}
	}
	return err
}

// Refused is something that cannot be done as things are.
type Refused struct{ Kind, Message string }

func (e *Refused) Error() string { return e.Message }

// longest bounds names and labels, in bytes.
const longest = 200

// named refuses what is no name: empty, too long, or not to be shown in a line.
func named(field, name string) error {
	if name == "" {
		return invalidf(field, "the %s is empty", field)
	}
	return labelled(field, name)
}

// labelled is named for what may be empty.
func labelled(field, text string) error {
	if len(text) > longest {
		return invalidf(field, "the %s has more than %d bytes", field, longest)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalidf(field, "the %s has a byte that is no text", field)
	}
	return nil
}
