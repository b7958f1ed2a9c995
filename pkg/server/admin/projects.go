package admin

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dbacked/dbacked/pkg/scheduler"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// NewProject is one that is to be made.
type NewProject struct {
	Name          string `json:"name" minLength:"1" maxLength:"200" example:"shop" doc:"What to call it. No other project may have the name."`
	PublicKey     string `json:"publicKey,omitempty" maxLength:"16384" doc:"Public key (PEM) that its backups are encrypted for. Agents that have one of their own use that."`
	Schedule      string `json:"schedule,omitempty" default:"@daily" maxLength:"1000" example:"0 2 * * *" doc:"When backups are due: a cron expression, or @hourly, @daily, @weekly, @monthly."`
	Timezone      string `json:"timezone,omitempty" default:"UTC" maxLength:"200" example:"Europe/Paris" doc:"Time zone of the schedule."`
	AgentsRestore bool   `json:"agentsRestore,omitempty" doc:"Let agents' keys read backups too. Without it they can only add."`

	Retention Retention `json:"-"`
}

// ProjectChange is what is to change of a project; nil stays as it is.
type ProjectChange struct {
	PublicKey     *string `json:"publicKey,omitempty" maxLength:"16384" doc:"Public key (PEM); empty for none."`
	Schedule      *string `json:"schedule,omitempty" maxLength:"1000" example:"0 2 * * *" doc:"When backups are due. What is due already stays due."`
	Timezone      *string `json:"timezone,omitempty" maxLength:"200" example:"Europe/Paris" doc:"Time zone of the schedule."`
	AgentsRestore *bool   `json:"agentsRestore,omitempty" doc:"Whether agents' keys may read backups too."`

	Retention Retention `json:"-"`
}

// Project finds a project by its name, or by its id.
func (a *Admin) Project(ctx context.Context, name string) (records.Project, error) {
	p, err := a.records.ProjectByName(ctx, name)
	if errors.Is(err, records.ErrNotFound) {
		p, err = a.records.Project(ctx, name)
	}
	return p, missing(err, KindProject, name)
}

// CreateProject makes a project, whose first backup is due at once, and its agents'
// first key, which is shown by this alone.
func (a *Admin) CreateProject(ctx context.Context, n NewProject) (p records.Project, key string, err error) {
	if err := named("name", n.Name); err != nil {
		return p, "", err
	}
	if uuid.Validate(n.Name) == nil {
		return p, "", invalidf("name", "the name %s looks like an id", n.Name)
	}
	if _, err := parseSchedule(n.Schedule, n.Timezone); err != nil {
		return p, "", err
	}
	public, err := publicKey(n.PublicKey)
	if err != nil {
		return p, "", err
	}
	p = records.Project{Name: n.Name, PublicKey: public, Schedule: n.Schedule, Zone: n.Timezone, AgentsRestore: n.AgentsRestore}
	p.Keep.Minimum = records.DefaultMinimum
	if err := n.Retention.apply(&p); err != nil {
		return p, "", err
	}
	p, err = a.records.CreateProject(ctx, p, a.now())
	if errors.Is(err, records.ErrTaken) {
		return p, "", &Refused{Kind: KindProject, Message: "there is a project " + n.Name + " already"}
	}
	if err != nil {
		return p, "", err
	}
	if key, _, err = a.records.CreateKey(ctx, p.ID, records.KeyAgent, "first", a.now()); err != nil {
		return p, "", err
	}
	return p, key, a.audit(ctx, "project-create", p.ID, p.Name)
}

// ChangeProject changes a project.
func (a *Admin) ChangeProject(ctx context.Context, id string, c ProjectChange) (records.Project, error) {
	var key string
	if c.PublicKey != nil {
		var err error
		if key, err = publicKey(*c.PublicKey); err != nil {
			return records.Project{}, err
		}
	}
	var schedule *scheduler.Schedule
	p, err := a.records.ChangeProject(ctx, id, func(p *records.Project) (err error) {
		set(&p.Schedule, c.Schedule)
		set(&p.Zone, c.Timezone)
		set(&p.AgentsRestore, c.AgentsRestore)
		if c.PublicKey != nil {
			p.PublicKey = key
		}
		if schedule, err = parseSchedule(p.Schedule, p.Zone); err != nil {
			return err
		}
		return c.Retention.apply(p)
	})
	if err != nil {
		return p, missing(err, KindProject, id)
	}
	if c.Schedule != nil || c.Timezone != nil { // what is due already stays due
		now := a.now()
		if p, err = a.records.SetDue(ctx, p.ID, schedule.Next(now), now); err != nil {
			return p, missing(err, KindProject, id)
		}
	}
	return p, a.audit(ctx, "project-set", p.ID, p.Name+", keep "+ShowKept(p).String())
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// RemoveProject removes a project that has no backup, or none any more: one with
// backups is kept, as they would be lost with it.
func (a *Admin) RemoveProject(ctx context.Context, p records.Project) error {
	left, err := a.records.CountStored(ctx, p.ID)
	if err != nil {
		return err
	}
	if left > 0 {
		return &Refused{Kind: KindBackup, Message: fmt.Sprintf("project %s has %d backups whose files are not removed for good: it is kept; revoke its keys to end it", p.Name, left)}
	}
	if err := a.records.DeleteProject(ctx, p.ID); err != nil {
		return missing(err, KindProject, p.Name)
	}
	return a.audit(ctx, "project-remove", p.ID, p.Name)
}

// publicKey checks a public key, and returns it alone; "" is none.
func publicKey(text string) (string, error) {
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" && block.Type != "RSA PUBLIC KEY" {
		return "", invalidf("publicKey", "that is no public key in PEM (dbacked keygen makes one)")
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), nil
}

// Next is when a project's backup is due after a time; never, if its schedule cannot
// be read, which this package does not let happen.
func Next(p records.Project, after time.Time) time.Time {
	schedule, err := parseSchedule(p.Schedule, p.Zone)
	if err != nil {
		return time.Time{}
	}
	return schedule.Next(after)
}

func parseSchedule(expression, zone string) (*scheduler.Schedule, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || labelled("timezone", zone) != nil {
		return nil, invalidf("timezone", "%.100q is no time zone: write it as Europe/Paris", zone)
	}
	schedule, err := scheduler.Parse(expression, location)
	if err != nil {
		return nil, invalidf("schedule", "the schedule: %v", err)
	}
	return schedule, labelled("schedule", expression)
}
