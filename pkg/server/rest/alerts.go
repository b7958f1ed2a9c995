package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type listedAlerts struct {
	Paging
	Project string `query:"project" maxLength:"200" doc:"Only this project's: its name, or its id."`
	State   string `query:"state" enum:"open,all" default:"open" doc:"open: only those that are. all: also those that are over, of the last 90 days."`
}

type ofTarget struct {
	Target string `path:"target" maxLength:"200" doc:"The target's id."`
}

type targets struct {
	Items []admin.Target `json:"items" nullable:"false"`
}

func (a *API) alerts() {
	register(a, huma.Operation{
		OperationID: "list-alerts", Method: http.MethodGet, Path: "/alerts", Tags: []string{"alerts"},
		Summary: "List alerts, the newest first", Errors: []int{http.StatusNotFound},
	}, a.listAlerts)
}

func (a *API) listAlerts(ctx context.Context, in *listedAlerts) (*body[page[admin.Alert]], error) {
	after, err := in.place()
	if err != nil {
		return nil, err
	}
	var p records.Project
	if in.Project != "" {
		if p, err = a.as(ctx).Project(ctx, in.Project); err != nil {
			return nil, err
		}
	}
	all, err := a.records.AlertsAfter(ctx, p.ID, in.State == "all", after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return paged(all, in.Limit, admin.ShowAlert, func(b records.Alert) string { return cursorOf(b.Opened, b.ID) })
}

func (a *API) targets() {
	tags := []string{"alerts"}
	register(a, huma.Operation{
		OperationID: "list-alert-targets", Method: http.MethodGet, Path: "/alert-targets", Tags: tags,
		Summary: "List who is told of alerts, without secrets",
	}, a.listTargets)
	register(a, huma.Operation{
		OperationID: "add-alert-target", Method: http.MethodPost, Path: "/alert-targets", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary:     "Tell somebody of alerts",
		Description: "Of those that begin from now on. What a webhook is sent is signed: the secret is shown once, here. To check it, compare the header Dbacked-Signature with sha256= and the HMAC-SHA256 of the body, in hex.",
		Errors:      []int{http.StatusNotFound},
	}, a.addTarget)
	register(a, huma.Operation{
		OperationID: "remove-alert-target", Method: http.MethodDelete, Path: "/alert-targets/{target}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Tell somebody no more", Errors: []int{http.StatusNotFound},
	}, a.removeTarget)
	register(a, huma.Operation{
		OperationID: "test-alert-target", Method: http.MethodPost, Path: "/alert-targets/{target}/test", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Send a message to a target now, to see it arrive", Description: "502 says that it was not taken, and why.",
		Errors: []int{http.StatusNotFound, http.StatusBadGateway},
	}, a.testTarget)
}

func (a *API) listTargets(ctx context.Context, _ *struct{}) (*body[targets], error) {
	all, err := a.records.Targets(ctx)
	if err != nil {
		return nil, err
	}
	shown := targets{Items: []admin.Target{}}
	for _, t := range all {
		shown.Items = append(shown.Items, admin.ShowTarget(t))
	}
	return answered(shown)
}

func (a *API) addTarget(ctx context.Context, in *struct{ Body admin.NewTarget }) (*body[admin.Target], error) {
	t, secret, err := a.as(ctx).AddTarget(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	shown := admin.ShowTarget(t)
	shown.Secret = secret
	return answered(shown)
}

func (a *API) removeTarget(ctx context.Context, in *ofTarget) (*struct{}, error) {
	_, err := a.as(ctx).RemoveTarget(ctx, in.Target)
	return nil, err
}

func (a *API) testTarget(ctx context.Context, in *ofTarget) (*struct{}, error) {
	if a.options.Sender == nil {
		return nil, errors.New("nothing can send a message")
	}
	return nil, a.as(ctx).TestTarget(ctx, a.options.Sender, in.Target)
}
