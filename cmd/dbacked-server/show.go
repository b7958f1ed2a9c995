package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// size is one for people.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// progress is how far a backup is, "-" if its agent did not say.
func progress(p *admin.Progress) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%s: %s dumped, %s stored", printable(p.Stage), size(p.PlainBytes), size(p.StoredBytes))
}

type agentCommand struct {
	List agentList `cmd:"" help:"List the agents that asked for a project's backups."`
}

type agentList struct {
	dataFlags
	Project string `arg:"" help:"The project."`
	JSON    bool   `name:"json" help:"Print JSON, one object an agent."`
}

func (k *agentList) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Agents(ctx, p.ID)
	if err != nil {
		return err
	}
	active, err := r.Active(ctx, p.ID)
	if err != nil && !errors.Is(err, records.ErrNotFound) {
		return err
	}
	shown := admin.ShowAgents(all, active)
	return list(a, k.JSON, shown, func(s admin.Agent) admin.Agent { return s }, func(w io.Writer) {
		fmt.Fprintln(w, "AGENT\tVERSION\tLAST SEEN\tBACKUP\tPROGRESS")
		for _, s := range shown {
			id, done := "-", "-"
			if s.UnderWay != nil {
				id, done = s.UnderWay.ID, progress(s.UnderWay.Progress)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(s.ID), printable(s.Version), s.LastSeen.Format(time.DateTime), id, done)
		}
	})
}

type auditCommand struct {
	dataFlags
	Project string `arg:"" optional:"" help:"Only this project."`
	Limit   int    `name:"limit" default:"100" help:"Show at most so many entries, the newest."`
	JSON    bool   `name:"json" help:"Print JSON, one object an entry."`
}

func (k *auditCommand) Run(ctx context.Context, a *app) error {
	r, id, err := k.any(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.AuditLog(ctx, id, k.Limit)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, admin.ShowEntry, func(w io.Writer) {
		fmt.Fprintln(w, "AT\tWHO\tWHAT\tDETAIL")
		for _, e := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.At.UTC().Format(time.DateTime), e.Actor, e.Action, e.Detail)
		}
	})
}
