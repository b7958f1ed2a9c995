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

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
)

type alertTarget struct {
	Add    targetAdd    `cmd:"" help:"Tell somebody of alerts."`
	List   targetList   `cmd:"" help:"List who is told, without secrets."`
	Remove targetRemove `cmd:"" help:"Tell somebody no more."`
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
	n, err := k.target(os.Stdin)
	if err != nil {
		return err
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	t, secret, err := a.as(r).AddTarget(ctx, n)
	if err != nil {
		return err
	}
	s := admin.ShowTarget(t)
	s.Secret = secret
	return a.print(k.JSON, s, func(w io.Writer) {
		fmt.Fprintf(w, "id\t%s\nto\t%s\n", s.ID, s.To)
		if s.Secret != "" {
			fmt.Fprintf(w, "secret\t%s\n\nThe secret is not shown again.\n", s.Secret)
		}
	})
}

func (k *targetAdd) target(in io.Reader) (n admin.NewTarget, err error) {
	n.Project = k.Project
	switch {
	case len(k.Email) > 0:
		n.Kind, n.Emails = alerts.TargetEmail, k.Email
	case k.Webhook != "":
		n.Kind, n.URL = alerts.TargetWebhook, k.Webhook
	case k.Shoutrrr != "":
		n.Kind, n.URL = alerts.TargetShoutrrr, k.Shoutrrr
	default:
		return n, errors.New("say whom to tell: --email, --webhook or --shoutrrr")
	}
	if n.URL == "-" {
		line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("reading the URL: %w", err)
		}
		n.URL = strings.TrimSpace(line)
	}
	return n, nil
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
	return list(a, k.JSON, all, admin.ShowTarget, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tKIND\tTO\tPROJECT'S ID\tCREATED")
		for _, one := range all {
			s := admin.ShowTarget(one)
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
	t, err := a.as(r).RemoveTarget(ctx, k.ID)
	if err != nil {
		return err
	}
	return a.print(k.JSON, admin.ShowTarget(t), func(w io.Writer) { fmt.Fprintf(w, "removed\t%s\n", t.ID) })
}
