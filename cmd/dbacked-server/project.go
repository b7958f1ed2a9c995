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
	Show   projectShow   `cmd:"" help:"Show a project."`
	Set    projectSet    `cmd:"" help:"Change a project."`
	Remove projectRemove `cmd:"" help:"Remove a project that has no backup, or none any more."`
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
	Retention kept       `json:"retention"`
	APIKey    string     `json:"apikey,omitempty"` // once
}

func shown(p records.Project) project {
	return project{
		ID: p.ID, Name: p.Name, Schedule: p.Schedule, Timezone: p.Zone, NextDue: moment(p.NextDue),
		PublicKey: p.PublicKey, Restores: p.AgentsRestore, Retention: shownKept(p),
	}
}

// write says what there is to know of a project.
func (s project) write(w io.Writer) {
	due := "never"
	if s.NextDue != nil {
		due = s.NextDue.Format(time.RFC3339)
	}
	fmt.Fprintf(w, "project\t%s\nid\t%s\nschedule\t%s (%s)\nnext due\t%s\n", s.Name, s.ID, s.Schedule, s.Timezone, due)
	fmt.Fprintf(w, "keep\t%s\nkeep minimum\t%s\ngrace\t%s\n", s.Retention.words(), s.Retention.Minimum, s.Retention.Grace)
}

type projectCreate struct {
	dataFlags
	Name          string `arg:"" help:"What to call it."`
	PublicKey     string `name:"public-key" placeholder:"FILE" help:"Public key (PEM) that its backups are encrypted for; agents that have one of their own use that."`
	Schedule      string `name:"schedule" default:"@daily" placeholder:"CRON" help:"When backups are due: a cron expression, or @hourly, @daily, @weekly, @monthly."`
	Timezone      string `name:"timezone" default:"UTC" placeholder:"ZONE" help:"Time zone of the schedule, and of the days of the rules."`
	AgentsRestore bool   `name:"agents-restore" help:"Let agents' keys read backups too. Without it they can only add."`
	keepFlags
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (*projectCreate) Help() string {
	return `The key is printed once, and kept only as its hash. The first backup is due at once.

Examples:
  dbacked-server project create shop --public-key public.pem --schedule '0 2 * * *' --timezone Europe/Paris
  dbacked-server project create shop --keep-daily 7 --keep-weekly 4 --keep-monthly 12
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
	p := records.Project{Name: k.Name, PublicKey: key, Schedule: k.Schedule, Zone: k.Timezone, AgentsRestore: k.AgentsRestore}
	p.Keep.Minimum = records.DefaultMinimum
	if err := k.apply(&p); err != nil {
		return err
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	now := time.Now()
	p, err = r.CreateProject(ctx, p, now)
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
		fmt.Fprintln(w, "NAME\tSCHEDULE\tZONE\tNEXT DUE\tKEEP\tID")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Schedule, p.Zone, p.NextDue.UTC().Format(time.DateTime), shownKept(p).words(), p.ID)
		}
	})
}

type projectShow struct {
	dataFlags
	Name string `arg:"" help:"The project."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (k *projectShow) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return a.print(k.JSON, shown(p), shown(p).write)
}

type projectSet struct {
	dataFlags
	Name          string  `arg:"" help:"The project."`
	PublicKey     *string `name:"public-key" placeholder:"FILE" help:"Public key (PEM)."`
	Schedule      *string `name:"schedule" placeholder:"CRON" help:"When backups are due."`
	Timezone      *string `name:"timezone" placeholder:"ZONE" help:"Time zone of the schedule, and of the days of the rules."`
	AgentsRestore *bool   `name:"agents-restore" negatable:"" help:"Let agents' keys read backups too."`
	keepFlags
	JSON bool `name:"json" help:"Print JSON."`
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
	if err := k.apply(&p); err != nil {
		return err
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
	if err := r.Audit(ctx, a.actor, "project-set", p.ID, p.Name+", keep "+shownKept(p).words(), now); err != nil {
		return err
	}
	return a.print(k.JSON, shown(p), shown(p).write)
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}
