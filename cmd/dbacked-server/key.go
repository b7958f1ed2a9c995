package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make a key, and print it once."`
	List   keyList   `cmd:"" help:"List a project's keys, without what they are."`
	Revoke keyRevoke `cmd:"" help:"End a key."`
}

type keyCreate struct {
	dataFlags
	Project string `arg:"" help:"The project."`
	Kind    string `name:"kind" enum:"agent,restore" default:"agent" help:"agent: can only add. restore: can list and download."`
	Label   string `name:"label" placeholder:"TEXT" help:"Who has it, for key list."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

func (k *keyCreate) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	plain, made, err := a.as(r).CreateKey(ctx, p.ID, admin.NewKey{Kind: k.Kind, Label: k.Label})
	if err != nil {
		return err
	}
	s := admin.ShowKey(made)
	s.APIKey = plain
	return a.print(k.JSON, s, func(w io.Writer) { fmt.Fprintf(w, "id\t%s\nkind\t%s\napikey\t%s\n", s.ID, s.Kind, s.APIKey) })
}

type keyList struct {
	dataFlags
	Project string `arg:"" help:"The project."`
	JSON    bool   `name:"json" help:"Print JSON, one object a key."`
}

func (k *keyList) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Keys(ctx, p.ID)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, admin.ShowKey, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tKIND\tLABEL\tCREATED\tSTATE")
		for _, one := range all {
			state := "valid"
			if !one.Revoked.IsZero() {
				state = "revoked " + one.Revoked.UTC().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", one.ID, one.Kind, one.Label, one.Created.UTC().Format(time.DateTime), state)
		}
	})
}

type keyRevoke struct {
	dataFlags
	ID string `arg:"" help:"The key's id, of key list."`
}

func (k *keyRevoke) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return a.as(r).RevokeKey(ctx, "", k.ID)
}
