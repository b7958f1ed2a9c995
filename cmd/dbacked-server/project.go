package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
)

type projectCommand struct {
	Create projectCreate `cmd:"" help:"Make a project, and its agents' first key."`
	List   projectList   `cmd:"" help:"List the projects."`
	Show   projectShow   `cmd:"" help:"Show a project."`
	Set    projectSet    `cmd:"" help:"Change a project."`
	Remove projectRemove `cmd:"" help:"Remove a project that has no backup, or none any more."`
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
	public, err := publicKey(k.PublicKey)
	if err != nil {
		return err
	}
	keep, err := k.retention()
	if err != nil {
		return err
	}
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	p, key, err := a.as(r).CreateProject(ctx, admin.NewProject{
		Name: k.Name, PublicKey: public, Schedule: k.Schedule, Timezone: k.Timezone, AgentsRestore: k.AgentsRestore, Retention: keep,
	})
	if err != nil {
		return err
	}
	s := admin.ShowProject(p)
	s.APIKey = key
	return a.print(k.JSON, s, func(w io.Writer) {
		fmt.Fprintf(w, "project\t%s\nid\t%s\napikey\t%s\n", s.Name, s.ID, s.APIKey)
		fmt.Fprint(w, afterCreate(s))
	})
}

// publicURL is the setting of serve that says how agents reach it.
const publicURL = "DBACKED_SERVER_PUBLIC_URL"

// afterCreate says what to do with the key.
func afterCreate(s admin.Project) string {
	text := fmt.Sprintf(`
The key is not shown again. On the machine of the database, dbacked init asks for it. Or write these
lines into /etc/dbacked/NAME.env there (mode 0600), in the place of a storage and a schedule:

DBACKED_APIKEY=%s
DBACKED_API_URL=%s
DBACKED_PUBLIC_KEY=/etc/dbacked/public.pem

`, s.APIKey, cmp.Or(os.Getenv(publicURL), "https://backups.example.org"))
	if s.PublicKey == "" {
		text += "The project has no public key, so each agent needs that one (dbacked keygen makes a pair).\n"
	} else {
		text += "Without the last one, agents encrypt for the project's key, as they first see it.\n"
	}
	if os.Getenv(publicURL) == "" {
		text += "The address is how agents reach this service: " + publicURL + " in server.env.\n"
	}
	return text + "An agent of 2018 takes the first two from its environment.\n"
}

// publicKey reads a public key; "" is none. It is read before records is called: what
// is root's is not the service's to read.
func publicKey(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--public-key: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return "", fmt.Errorf("--public-key %s: it is empty", path)
	}
	return string(text), nil
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
	all, err := r.Overviews(ctx, "", 0)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, admin.ShowOverview, func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tSCHEDULE\tZONE\tNEXT DUE\tKEEP\tID")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Schedule, p.Zone, p.NextDue.UTC().Format(time.DateTime), admin.ShowKept(p.Project), p.ID)
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
	o, err := r.Overview(ctx, p.ID)
	if err != nil {
		return err
	}
	s := admin.ShowOverview(o)
	return a.print(k.JSON, s, func(w io.Writer) { writeProject(w, s) })
}

// writeProject says what there is to know of a project.
func writeProject(w io.Writer, s admin.Project) {
	due := "never"
	if s.NextDue != nil {
		due = s.NextDue.Format(time.RFC3339)
	}
	fmt.Fprintf(w, "project\t%s\nid\t%s\nschedule\t%s (%s)\nnext due\t%s\n", s.Name, s.ID, s.Schedule, s.Timezone, due)
	fmt.Fprintf(w, "keep\t%s\nkeep minimum\t%s\ngrace\t%s\n", s.Retention, s.Retention.Minimum, s.Retention.Grace)
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
	keep, err := k.retention()
	if err != nil {
		return err
	}
	change := admin.ProjectChange{Schedule: k.Schedule, Timezone: k.Timezone, AgentsRestore: k.AgentsRestore, Retention: keep}
	if k.PublicKey != nil {
		key, err := publicKey(*k.PublicKey)
		if err != nil {
			return err
		}
		change.PublicKey = &key
	}
	r, p, err := k.project(ctx, k.Name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if p, err = a.as(r).ChangeProject(ctx, p.ID, change); err != nil {
		return err
	}
	s := admin.ShowProject(p)
	return a.print(k.JSON, s, func(w io.Writer) { writeProject(w, s) })
}
