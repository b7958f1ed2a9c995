package admin

import (
	"time"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Key is what is shown of one.
type Key struct {
	ID       string     `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b12"`
	Kind     string     `json:"kind" enum:"agent,restore"`
	Label    string     `json:"label" example:"safe"`
	Created  time.Time  `json:"created"`
	LastUsed *time.Time `json:"lastUsed,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty" doc:"When it was ended. None: it is valid."`
	APIKey   string     `json:"apikey,omitempty" doc:"The key itself: once, where it is made."`
}

// ShowKey shows one.
func ShowKey(k records.Key) Key {
	return Key{ID: k.ID, Kind: k.Kind, Label: k.Label, Created: k.Created.UTC(), LastUsed: moment(k.LastUsed), Revoked: moment(k.Revoked)}
}

// Token is what is shown of one.
type Token struct {
	ID       string     `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b13"`
	Name     string     `json:"name" example:"prometheus" doc:"By which the audit log knows it."`
	ReadOnly bool       `json:"readOnly" doc:"Whether it changes nothing."`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty" doc:"None: never."`
	LastUsed *time.Time `json:"lastUsed,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty" doc:"When it was ended."`
	Token    string     `json:"token,omitempty" doc:"The token itself: once, where it is made."`
}

// ShowToken shows one.
func ShowToken(t records.Token) Token {
	return Token{
		ID: t.ID, Name: t.Name, ReadOnly: t.ReadOnly, Created: t.Created.UTC(),
		Expires: moment(t.Expires), LastUsed: moment(t.LastUsed), Revoked: moment(t.Revoked),
	}
}

// Alert is what is shown of one.
type Alert struct {
	ID        string     `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b14"`
	ProjectID string     `json:"projectId"`
	Project   string     `json:"project" example:"shop" doc:"Its project's name."`
	Kind      string     `json:"kind" example:"late" doc:"failed, late, silent, key-mismatch or odd-size."`
	State     string     `json:"state" enum:"open,recovered"`
	Text      string     `json:"text" example:"A backup was due at 2026-11-22 02:00 UTC, and none was done since."`
	Opened    time.Time  `json:"opened"`
	Closed    *time.Time `json:"closed,omitempty"`
	Told      int        `json:"told" doc:"How many messages were taken by their targets."`
	Pending   int        `json:"pending" doc:"How many are still to be sent."`
	GaveUp    int        `json:"gaveUp" doc:"How many were given up."`
}

// ShowAlert shows one.
func ShowAlert(a records.Alert) Alert {
	s := Alert{
		ID: a.ID, ProjectID: a.ProjectID, Project: a.Project, Kind: a.Kind, State: "open", Text: a.Text, Opened: a.Opened.UTC(),
		Told: a.Told, Pending: a.Pending, GaveUp: a.GaveUp, Closed: moment(a.Closed),
	}
	if s.Closed != nil {
		s.State = records.EventRecovered
	}
	return s
}

// Target is what is shown of one.
type Target struct {
	ID        string    `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b15"`
	ProjectID string    `json:"projectId,omitempty" doc:"None: it is told of all projects."`
	Kind      string    `json:"kind" enum:"email,webhook,shoutrrr"`
	To        string    `json:"to" example:"https://hooks.example.org/…" doc:"Where it leads, without what is secret of it."`
	Created   time.Time `json:"created"`
	Secret    string    `json:"secret,omitempty" doc:"What a webhook is signed with: once, where it is added."`
}

// ShowTarget shows one, without its secrets.
func ShowTarget(t records.Target) Target {
	s := Target{ID: t.ID, ProjectID: t.ProjectID, Kind: t.Kind, Created: t.Created.UTC(), To: "?"}
	if c, err := alerts.ParseConfig(t); err == nil {
		s.To = c.String()
	}
	return s
}

// Entry is what is shown of one of the audit log's.
type Entry struct {
	ID      string    `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b16"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor" example:"token alice" doc:"Who: a user of the service's machine, or a token."`
	Action  string    `json:"action" example:"project-create"`
	Project string    `json:"projectId,omitempty"`
	Detail  string    `json:"detail,omitempty" example:"shop"`
}

// ShowEntry shows one.
func ShowEntry(e records.AuditEntry) Entry {
	return Entry{ID: e.ID, At: e.At.UTC(), Actor: e.Actor, Action: e.Action, Project: e.ProjectID, Detail: e.Detail}
}
