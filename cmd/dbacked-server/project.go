package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

type projectCommand struct {
	Create projectCreate `cmd:"" help:"Make a project, and its agents' first key."`
	List   projectList   `cmd:"" help:"List the projects."`
	Set    projectSet    `cmd:"" help:"Change a project."`
	Remove projectRemove `cmd:"" help:"Remove a project that has no backup."`
}

// project is what is printed of one.
type project struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Schedule  string     `json:"schedule"`
	Timezone  string     `json:"timezone"`
	NextDue   *time.Time `json:"nextDue,omitempty"`
	PublicKey string     `json:"publicKey,omitempty"`
	Restores  bool       `json:"agentsRestore"`
	APIKey    string     `json:"apikey,omitempty"` // once
}

func shown(p records.Project) project {
	s := project{ID: p.ID, Name: p.Name, Schedule: p.Schedule, Timezone: p.Zone, PublicKey: p.PublicKey, Restores: p.AgentsRestore}
	if due := p.NextDue.UTC(); !p.NextDue.IsZero() {
		s.NextDue = &due
	}
	return s
}

type projectCreate struct {
	dataFlags
	Name          string `arg:"" help:"What to call it."`
	PublicKey     string `name:"public-key" placeholder:"FILE" help:"Public key (PEM) that its backups are encrypted for; agents that have one of their own use that."`
	Schedule      string `name:"schedule" default:"@daily" placeholder:"CRON" help:"When backups are due: a cron expression, or @hourly, @daily, @weekly, @monthly."`
	Timezone      string `name:"timezone" default:"UTC" placeholder:"ZONE" help:"Time zone of the schedule."`
	AgentsRestore bool   `name:"agents-restore" help:"Let agents' keys read backups too. Without it they can only add."`
	JSON          bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (*projectCreate) Help() string {
	return `The key is printed once, and kept only as its hash. The first backup is due at once.

Examples:
  dbacked-server project create shop --public-key public.pem --schedule '0 2 * * *' --timezone Europe/Paris
  dbacked-server project create shop --json | jq -r .apikey`
}

func (k *projectCreate) Run(ctx context.Context, a *app) error {
	if _, err := parseSchedule(k.Schedule, k.Timezone); err != nil {
		return err
	}
	key, err := publicKey(k.PublicKey)
	if err != nil {
		return err
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	now := time.Now()
	p, err := r.CreateProject(ctx, records.Project{
		Name: k.Name, PublicKey: key, Schedule: k.Schedule, Zone: k.Timezone, AgentsRestore: k.AgentsRestore,
	}, now)
	if errors.Is(err, records.ErrTaken) {
		return fmt.Errorf("there is a project %s already: dbacked-server project list", k.Name)
	}
	if err != nil {
		return err
	}
	s := shown(p)
	if s.APIKey, _, err = r.CreateKey(ctx, p.ID, records.KeyAgent, "first", now); err != nil {
		return err
	}
	if err := r.Audit(ctx, a.actor, "project-create", p.ID, p.Name, now); err != nil {
		return err
	}
	return a.print(k.JSON, s, func(w io.Writer) {
		fmt.Fprintf(w, "project\t%s\nid\t%s\napikey\t%s\n", s.Name, s.ID, s.APIKey)
		fmt.Fprintf(w, "\nThe key is not shown again. An agent of 2018 takes it as --apikey, or from its environment:\n\n  DBACKED_APIKEY=%s\n", s.APIKey)
	})
}

// publicKey reads a public key; "" is none.
func publicKey(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--public-key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" && block.Type != "RSA PUBLIC KEY" {
		return "", fmt.Errorf("--public-key %s: it holds no public key in PEM (dbacked keygen makes one)", path)
	}
	return string(pem.EncodeToMemory(block)), nil
}

type projectList struct {
	dataFlags
	JSON bool `name:"json" help:"Print JSON, one object a project."`
}

func (k *projectList) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Projects(ctx)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, shown, func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tSCHEDULE\tZONE\tNEXT DUE\tID")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.Schedule, p.Zone, p.NextDue.UTC().Format(time.DateTime), p.ID)
		}
	})
}

type projectSet struct {
	dataFlags
	Name          string  `arg:"" help:"The project."`
	PublicKey     *string `name:"public-key" placeholder:"FILE" help:"Public key (PEM)."`
	Schedule      *string `name:"schedule" placeholder:"CRON" help:"When backups are due."`
	Timezone      *string `name:"timezone" placeholder:"ZONE" help:"Time zone of the schedule."`
	AgentsRestore *bool   `name:"agents-restore" negatable:"" help:"Let agents' keys read backups too."`
	JSON          bool    `name:"json" help:"Print JSON."`
}

func (k *projectSet) Run(ctx context.Context, a *app) error {
	var key string
	if k.PublicKey != nil { // first, as whoever this is: root's files are not the service's to read
		var err error
		if key, err = publicKey(*k.PublicKey); err != nil {
			return err
		}
	}
	r, p, err := k.project(ctx, k.Name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	rescheduled := k.Schedule != nil || k.Timezone != nil
	set(&p.Schedule, k.Schedule)
	set(&p.Zone, k.Timezone)
	if k.PublicKey != nil {
		p.PublicKey = key
	}
	if k.AgentsRestore != nil {
		p.AgentsRestore = *k.AgentsRestore
	}
	schedule, err := parseSchedule(p.Schedule, p.Zone)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := r.UpdateProject(ctx, p); err != nil {
		return err
	}
	if rescheduled { // what is due already stays due
		if p, err = r.SetDue(ctx, p.ID, schedule.Next(now), now); err != nil {
			return err
		}
	}
	if err := r.Audit(ctx, a.actor, "project-set", p.ID, p.Name, now); err != nil {
		return err
	}
	return a.print(k.JSON, shown(p), func(w io.Writer) {
		fmt.Fprintf(w, "project\t%s\nschedule\t%s (%s)\nnext due\t%s\n", p.Name, p.Schedule, p.Zone, p.NextDue.UTC().Format(time.RFC3339))
	})
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}

type projectRemove struct {
	dataFlags
	Name string `arg:"" help:"The project."`
}

// Help says what is refused.
func (*projectRemove) Help() string {
	return "A project with backups is not removed: they would be lost with it. Its keys can be revoked."
}

func (k *projectRemove) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Backups(ctx, p.ID, nil, 1)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		return fmt.Errorf("project %s has backups: it is kept; revoke its keys to end it (dbacked-server key list %s)", p.Name, p.Name)
	}
	if err := r.DeleteProject(ctx, p.ID); err != nil {
		return err
	}
	return r.Audit(ctx, a.actor, "project-remove", p.ID, p.Name, time.Now())
}
