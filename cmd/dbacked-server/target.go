package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type alertTarget struct {
	Add    targetAdd    `cmd:"" help:"Tell somebody of alerts."`
	List   targetList   `cmd:"" help:"List who is told, without secrets."`
	Remove targetRemove `cmd:"" help:"Tell somebody no more."`
}

// target is what is printed of one.
type target struct {
	ID        string    `json:"id"`
	ProjectID string    `json:"projectId,omitempty"` // none: all
	Kind      string    `json:"kind"`
	To        string    `json:"to"`
	Created   time.Time `json:"created"`
	Secret    string    `json:"secret,omitempty"` // once
}

func shownTarget(t records.Target) target {
	s := target{ID: t.ID, ProjectID: t.ProjectID, Kind: t.Kind, Created: t.Created.UTC(), To: "?"}
	if c, err := alerts.ParseConfig(t); err == nil {
		s.To = c.String()
	}
	return s
}

type targetAdd struct {
	dataFlags
	Project  string   `arg:"" optional:"" help:"The project."`
	All      bool     `name:"all" help:"Tell of all projects, also later ones."`
	Email    []string `name:"email" sep:"none" placeholder:"ADDRESS" xor:"to" help:"Send mails there; can be repeated."`
	Webhook  string   `name:"webhook" placeholder:"URL" xor:"to" help:"POST there, as JSON; - reads the URL from standard input."`
	Shoutrrr string   `name:"shoutrrr" placeholder:"URL" xor:"to" help:"A service of https://shoutrrr.nickfedor.com, for example ntfy://…; - reads the URL from standard input."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Help shows examples.
func (*targetAdd) Help() string {
	return `What is sent to a webhook is signed: the secret is printed once. To check it, compare the header
Dbacked-Signature with "sha256=" and the HMAC-SHA256 of the body, in hex. A URL often is a secret:
give it by standard input, where other users of the machine do not see it.

Mails leave by the server of DBACKED_SERVER_SMTP_HOST and its like (dbacked-server serve --help).

Examples:
  dbacked-server alert target add shop --email admin@example.org
  dbacked-server alert target add --all --webhook https://hooks.example.org/backups
  dbacked-server alert target add --all --shoutrrr - < slack-url`
}

func (k *targetAdd) Run(ctx context.Context, a *app) error {
	if (k.Project == "") != k.All {
		return errors.New("say which project to tell of, or --all")
	}
	kind, c, err := k.config(os.Stdin)
	if err != nil {
		return err
	}
	r, project, err := k.any(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	now := time.Now()
	t, err := r.AddTarget(ctx, records.Target{ProjectID: project, Kind: kind, Config: encoded(c)}, now)
	if err != nil {
		return err
	}
	if err := r.Audit(ctx, actor(), "alert-target-add", project, t.ID+" "+kind+" "+c.String(), now); err != nil {
		return err
	}
	s := shownTarget(t)
	s.Secret = c.Secret
	return a.print(k.JSON, s, func(w io.Writer) {
		fmt.Fprintf(w, "id\t%s\nto\t%s\n", s.ID, s.To)
		if s.Secret != "" {
			fmt.Fprintf(w, "secret\t%s\n\nThe secret is not shown again.\n", s.Secret)
		}
	})
}

func (k *targetAdd) config(in io.Reader) (kind string, c alerts.Config, err error) {
	switch {
	case len(k.Email) > 0:
		kind, c.Emails = alerts.TargetEmail, k.Email
	case k.Webhook != "":
		kind, c.URL, c.Secret = alerts.TargetWebhook, k.Webhook, alerts.NewSecret()
	case k.Shoutrrr != "":
		kind, c.URL = alerts.TargetShoutrrr, k.Shoutrrr
	default:
		return "", c, errors.New("say whom to tell: --email, --webhook or --shoutrrr")
	}
	if c.URL == "-" {
		line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", c, fmt.Errorf("reading the URL: %w", err)
		}
		c.URL = strings.TrimSpace(line)
	}
	return kind, c, c.Check(kind)
}

type targetList struct {
	dataFlags
	JSON bool `name:"json" help:"Print JSON, one object a target."`
}

func (k *targetList) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Targets(ctx)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, shownTarget, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tKIND\tTO\tPROJECT'S ID\tCREATED")
		for _, one := range all {
			s := shownTarget(one)
			if s.ProjectID == "" {
				s.ProjectID = "all"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Kind, s.To, s.ProjectID, s.Created.Format(time.DateTime))
		}
	})
}

type targetRemove struct {
	dataFlags
	ID   string `arg:"" help:"The target's id, of alert target list."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (k *targetRemove) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	t, err := r.Target(ctx, k.ID)
	if err == nil {
		err = r.RemoveTarget(ctx, k.ID)
	}
	if errors.Is(err, records.ErrNotFound) {
		return noTarget(k.ID)
	}
	if err != nil {
		return err
	}
	if err := r.Audit(ctx, actor(), "alert-target-remove", t.ProjectID, t.ID, time.Now()); err != nil {
		return err
	}
	return a.print(k.JSON, shownTarget(t), func(w io.Writer) { fmt.Fprintf(w, "removed\t%s\n", t.ID) })
}
