package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type tokenCommand struct {
	Create tokenCreate `cmd:"" help:"Make a token, and print it once."`
	List   tokenList   `cmd:"" help:"List the tokens, without what they are."`
	Revoke tokenRevoke `cmd:"" help:"End a token."`
}

type tokenCreate struct {
	dataFlags
	Name     string `arg:"" help:"Who has it: the audit log says so."`
	ReadOnly bool   `name:"read-only" help:"It changes nothing: enough for /metrics."`
	For      string `name:"for" placeholder:"DURATION" help:"How long it is valid, for example 12h or 90d; without this, until it is revoked."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help shows examples.
func (*tokenCreate) Help() string {
	return `A token administers all projects, by the REST API. It is printed once, and kept only as its hash.
Its name is never given again, not even after it was revoked.

Examples:
  dbacked-server token create alice --for 90d
  dbacked-server token create prometheus --read-only --json | jq -r .token`
}

func (k *tokenCreate) Run(ctx context.Context, a *app) error {
	var lifetime time.Duration
	if k.For != "" {
		var err error
		if lifetime, err = config.ParseDuration(k.For); err != nil || lifetime == 0 {
			return fmt.Errorf("--for %q is no duration: write 12h, 90d or 8w", k.For)
		}
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	plain, made, err := a.as(r).CreateToken(ctx, k.Name, k.ReadOnly, lifetime)
	if err != nil {
		return err
	}
	s := admin.ShowToken(made)
	s.Token = plain
	return a.print(k.JSON, s, func(w io.Writer) {
		fmt.Fprintf(w, "name\t%s\naccess\t%s\nexpires\t%s\ntoken\t%s\n", s.Name, access(s), expires(s), s.Token)
		fmt.Fprintf(w, "\nThe token is not shown again. It goes into a header:\n\n  Authorization: Bearer %s\n", s.Token)
	})
}

func access(t admin.Token) string {
	if t.ReadOnly {
		return "read-only"
	}
	return "full"
}

func expires(t admin.Token) string {
	if t.Expires == nil {
		return "never"
	}
	return t.Expires.Format(time.DateTime)
}

type tokenList struct {
	dataFlags
	JSON bool `name:"json" help:"Print JSON, one object a token."`
}

func (k *tokenList) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Tokens(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	return list(a, k.JSON, all, admin.ShowToken, func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tACCESS\tCREATED\tEXPIRES\tLAST USED\tSTATE\tID")
		for _, one := range all {
			s := admin.ShowToken(one)
			used := "never"
			if s.LastUsed != nil {
				used = s.LastUsed.Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, access(s), s.Created.Format(time.DateTime), expires(s), used, state(one, now), s.ID)
		}
	})
}

func state(t records.Token, now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked " + t.Revoked.UTC().Format(time.DateTime)
	case !t.Expires.IsZero() && !t.Expires.After(now):
		return "expired"
	}
	return "valid"
}

type tokenRevoke struct {
	dataFlags
	Name string `arg:"" help:"The token's name, or its id, of token list."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (k *tokenRevoke) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	t, err := a.as(r).RevokeToken(ctx, k.Name)
	if err != nil {
		return err
	}
	return a.print(k.JSON, admin.ShowToken(t), func(w io.Writer) { fmt.Fprintf(w, "revoked\t%s\n", t.Name) })
}
