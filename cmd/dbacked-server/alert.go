package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
)

type alertCommand struct {
	List   alertList   `cmd:"" help:"List the alerts that are open."`
	Target alertTarget `cmd:"" help:"Whom to tell of alerts."`
	Test   alertTest   `cmd:"" help:"Send a message to a target now, to see it arrive."`
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
	return list(a, k.JSON, all, admin.ShowAlert, func(w io.Writer) {
		fmt.Fprintln(w, "OPENED\tPROJECT\tKIND\tSTATE\tTOLD\tPENDING\tGIVEN UP\tTEXT")
		for _, one := range all {
			s := admin.ShowAlert(one)
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
	smtp, err := k.server()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := a.as(r).TestTarget(ctx, alerts.NewSender(smtp), k.ID); err != nil {
		return err
	}
	return a.print(k.JSON, struct {
		Target string `json:"target"`
		Sent   bool   `json:"sent"`
	}{k.ID, true}, func(w io.Writer) { fmt.Fprintf(w, "sent\t%s\n", k.ID) })
}
