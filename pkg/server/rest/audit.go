package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type listedEntries struct {
	Paging
	Project string `query:"project" maxLength:"200" doc:"Only this project's: its name, or its id, also of one that was removed."`
}

// Info is what the service says of itself.
type Info struct {
	Version  string    `json:"version" example:"1.0.0" doc:"Of the service."`
	Database string    `json:"database" enum:"sqlite,postgresql" doc:"Where it keeps what it knows."`
	Time     time.Time `json:"time" doc:"Its clock."`
}

func (a *API) audit() {
	register(a, huma.Operation{
		OperationID: "list-audit-log", Method: http.MethodGet, Path: "/audit", Tags: []string{"audit"},
		Summary: "Show who did what, the newest first", Description: "Entries are only ever added.",
	}, a.listEntries)
}

func (a *API) listEntries(ctx context.Context, in *listedEntries) (*body[page[admin.Entry]], error) {
	after, err := in.place()
	if err != nil {
		return nil, err
	}
	id := ""
	if in.Project != "" {
		p, err := a.as(ctx).Project(ctx, in.Project)
		if _, removed := errors.AsType[*admin.NotFound](err); removed {
			p.ID, err = in.Project, nil
		}
		if err != nil {
			return nil, err
		}
		id = p.ID
	}
	all, err := a.records.AuditLogAfter(ctx, id, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return paged(all, in.Limit, admin.ShowEntry, func(e records.AuditEntry) string { return cursorOf(e.At, e.ID) })
}

func (a *API) info() {
	tags := []string{"service"}
	register(a, huma.Operation{
		OperationID: "get-server", Method: http.MethodGet, Path: "/server", Tags: tags, Summary: "Show what the service is",
	}, func(context.Context, *struct{}) (*body[Info], error) {
		return answered(Info{Version: a.options.Version, Database: a.records.Kind(), Time: a.options.Now().UTC()})
	})
	register(a, huma.Operation{
		OperationID: "get-token", Method: http.MethodGet, Path: "/token", Tags: tags,
		Summary: "Show the token that this call is made with", Description: "What it is called, what it may, and until when. Tokens are made, listed and revoked on the command line alone: who gets hold of one cannot make another.",
	}, func(ctx context.Context, _ *struct{}) (*body[admin.Token], error) {
		return answered(admin.ShowToken(token(ctx)))
	})
}
