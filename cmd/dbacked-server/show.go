package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

type agentCommand struct {
	List agentList `cmd:"" help:"List the agents that asked for a project's backups."`
}

// agent is what is printed of one.
type agent struct {
	ID       string    `json:"id"`
	Version  string    `json:"version"`
	LastSeen time.Time `json:"lastSeen"`
}

func shownAgent(a records.Agent) agent { return agent{a.ID, a.Version, a.LastSeen.UTC()} }

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
	return list(a, k.JSON, all, shownAgent, func(w io.Writer) {
		fmt.Fprintln(w, "AGENT\tVERSION\tLAST SEEN")
		for _, one := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", one.ID, one.Version, one.LastSeen.UTC().Format(time.DateTime))
		}
	})
}

// entry is what is printed of one of the audit log.
type entry struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Project string    `json:"projectId,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

func shownEntry(e records.AuditEntry) entry {
	return entry{e.At.UTC(), e.Actor, e.Action, e.ProjectID, e.Detail}
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
	return list(a, k.JSON, all, shownEntry, func(w io.Writer) {
		fmt.Fprintln(w, "AT\tWHO\tWHAT\tDETAIL")
		for _, e := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.At.UTC().Format(time.DateTime), e.Actor, e.Action, e.Detail)
		}
	})
}
