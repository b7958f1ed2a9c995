package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type alertCommand struct {
	List   alertList   `cmd:"" help:"List the alerts that are open."`
	Target alertTarget `cmd:"" help:"Whom to tell of alerts."`
	Test   alertTest   `cmd:"" help:"Send a message to a target now, to see it arrive."`
}

// alert is what is printed of one.
type alert struct {
	ID      string     `json:"id"`
	Project string     `json:"project"`
	Kind    string     `json:"kind"`
	State   string     `json:"state"` // open, recovered
	Text    string     `json:"text"`
	Opened  time.Time  `json:"opened"`
	Closed  *time.Time `json:"closed,omitempty"`
	Told    int        `json:"told"` // messages
	Pending int        `json:"pending"`
	GaveUp  int        `json:"gaveUp"`
}

func shownAlert(a records.Alert) alert {
	s := alert{
		ID: a.ID, Project: a.Project, Kind: a.Kind, State: "open", Text: a.Text, Opened: a.Opened.UTC(),
		Told: a.Told, Pending: a.Pending, GaveUp: a.GaveUp,
	}
	if closed := a.Closed.UTC(); !a.Closed.IsZero() {
		s.State, s.Closed = records.EventRecovered, &closed
	}
	return s
}

type alertList struct {
	dataFlags
	Project string `arg:"" optional:"" help:"Only this project."`
	Ended   bool   `name:"ended" help:"Also those that are over, of the last 90 days."`
	Limit   int    `name:"limit" default:"100" help:"List at most so many, the newest."`
	JSON    bool   `name:"json" help:"Print JSON, one object an alert."`
}

func (k *alertList) Run(ctx context.Context, a *app) error {
	r, id, err := k.any(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Alerts(ctx, id, k.Ended, k.Limit)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, shownAlert, func(w io.Writer) {
		fmt.Fprintln(w, "OPENED\tPROJECT\tKIND\tSTATE\tTOLD\tPENDING\tGIVEN UP\tTEXT")
		for _, one := range all {
			s := shownAlert(one)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.120s\n", s.Opened.Format(time.DateTime), s.Project, s.Kind, s.State, s.Told, s.Pending, s.GaveUp, s.Text)
		}
	})
}

type alertTest struct {
	dataFlags
	smtpFlags
	ID   string `arg:"" name:"target" help:"The target's id, of alert target list."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (k *alertTest) Run(ctx context.Context, a *app) error {
	r, err := k.records(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	t, err := r.Target(ctx, k.ID)
	if errors.Is(err, records.ErrNotFound) {
		return noTarget(k.ID)
	}
	if err != nil {
		return err
	}
	smtp, err := k.server()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := time.Now()
	if err := alerts.NewSender(smtp).Send(ctx, t, alerts.Message{
		ID: fmt.Sprintf("test-%d", now.UnixMilli()), Project: "test", ProjectID: t.ProjectID, Kind: alerts.KindTest,
		State: records.EventOpened, Text: "This is a test: alerts arrive here.", At: now.UTC(),
	}); err != nil {
		return err
	}
	return a.print(k.JSON, struct {
		Target string `json:"target"`
		Sent   bool   `json:"sent"`
	}{t.ID, true}, func(w io.Writer) { fmt.Fprintf(w, "sent\t%s\n", t.ID) })
}

func noTarget(id string) error {
	return fmt.Errorf("there is no target %s: dbacked-server alert target list", id)
}

// any opens what the service knows, and finds the id of a project; "" is all.
func (d dataFlags) any(ctx context.Context, project string) (*records.Store, string, error) {
	if project == "" {
		r, err := d.records(ctx)
		return r, "", err
	}
	r, p, err := d.project(ctx, project)
	return r, p.ID, err
}

// encoded is a target's configuration as it is kept.
func encoded(c alerts.Config) string {
	text, _ := json.Marshal(c) // strings can be encoded
	return string(text)
}
