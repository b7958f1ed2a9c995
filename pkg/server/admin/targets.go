package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// NewTarget is somebody who is to be told of alerts.
type NewTarget struct {
	Project string   `json:"project,omitempty" maxLength:"200" example:"shop" doc:"Name or id of the project to tell of; without it, all, also later ones."`
	Kind    string   `json:"kind" enum:"email,webhook,shoutrrr" doc:"email: to emails. webhook: a POST of JSON to url, signed. shoutrrr: a service of https://shoutrrr.nickfedor.com, by its url."`
	Emails  []string `json:"emails,omitempty" nullable:"false" maxItems:"50" doc:"Of kind email: the addresses."`
	URL     string   `json:"url,omitempty" maxLength:"8192" doc:"Of the other kinds: where to. It is a secret, and is not shown again whole." example:"https://hooks.example.org/backups"`
}

// AddTarget adds one. The secret is what a webhook is signed with, and is shown by
// this alone; other kinds have none.
func (a *Admin) AddTarget(ctx context.Context, n NewTarget) (t records.Target, secret string, err error) {
	c := alerts.Config{Emails: n.Emails, URL: n.URL}
	switch n.Kind {
	case alerts.TargetEmail:
		if n.URL != "" {
			return t, "", invalidf("url", "mails go to emails, not to a url")
		}
	case alerts.TargetWebhook, alerts.TargetShoutrrr:
		if len(n.Emails) > 0 {
			return t, "", invalidf("emails", "mails are a target of their own")
		}
		if n.Kind == alerts.TargetWebhook {
			c.Secret = alerts.NewSecret()
		}
	default:
		return t, "", invalidf("kind", "there are targets of the kinds %s, %s and %s", alerts.TargetEmail, alerts.TargetWebhook, alerts.TargetShoutrrr)
	}
	if err := c.Check(n.Kind); err != nil {
		field := "url"
		if n.Kind == alerts.TargetEmail {
			field = "emails"
		}
		return t, "", invalidf(field, "%v", err)
	}
	var p records.Project
	if n.Project != "" {
		if p, err = a.Project(ctx, n.Project); err != nil {
			return t, "", err
		}
	}
	text, _ := json.Marshal(c) // strings can be encoded
	t, err = a.records.AddTarget(ctx, records.Target{ProjectID: p.ID, Kind: n.Kind, Config: string(text)}, a.now())
	if err != nil {
		return t, "", err
	}
	return t, c.Secret, a.audit(ctx, "alert-target-add", p.ID, t.ID+" "+t.Kind+" "+c.String())
}

// RemoveTarget removes one, and returns what it was.
func (a *Admin) RemoveTarget(ctx context.Context, id string) (t records.Target, err error) {
	if t, err = a.records.Target(ctx, id); err == nil {
		err = a.records.RemoveTarget(ctx, id)
	}
	if err != nil {
		return t, missing(err, KindTarget, id)
	}
	return t, a.audit(ctx, "alert-target-remove", t.ProjectID, t.ID)
}

// Sender sends messages to targets: an *alerts.Sender.
type Sender interface {
	Send(ctx context.Context, t records.Target, m alerts.Message) error
}

// TestTarget sends a message to a target, which somebody should see arrive. That it
// was not taken is a [*NotSent].
func (a *Admin) TestTarget(ctx context.Context, s Sender, id string) error {
	t, err := a.records.Target(ctx, id)
	if err != nil {
		return missing(err, KindTarget, id)
	}
	if err := a.audit(ctx, "alert-test", t.ProjectID, t.ID); err != nil {
		return err
	}
	now := a.now()
	if err := s.Send(ctx, t, alerts.Message{
		ID: fmt.Sprintf("test-%d", now.UnixMilli()), Project: "test", ProjectID: t.ProjectID, Kind: alerts.KindTest,
		State: records.EventOpened, Text: "This is a test: alerts arrive here.", At: now.UTC(),
	}); err != nil {
		return &NotSent{err}
	}
	return nil
}

// NotSent is a message that its target did not take.
type NotSent struct{ cause error }

func (e *NotSent) Error() string { return e.cause.Error() }

// Unwrap is why.
func (e *NotSent) Unwrap() error { return e.cause }
