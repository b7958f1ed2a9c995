package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type listedBackups struct {
	OfProject
	Paging
	State []string `query:"state" nullable:"false" enum:"open,completing,done,failed,lost" doc:"Only those in one of these states, with commas between."`
}

// OfBackup is the path of what belongs to a backup.
type OfBackup struct {
	OfProject
	Backup string `path:"backup" maxLength:"200" example:"20261122T215643Z-7f3c2a9d01" doc:"The backup's id."`
}

type agents struct {
	Items []admin.Agent `json:"items" nullable:"false"`
}

func (a *API) backups() {
	tags := []string{"backups"}
	register(a, huma.Operation{
		OperationID: "list-backups", Method: http.MethodGet, Path: "/projects/{project}/backups", Tags: tags,
		Summary: "List a project's backups, the newest first", Description: "Also those that failed, and how far those are that are under way.",
		Errors: []int{http.StatusNotFound},
	}, a.listBackups)
	register(a, huma.Operation{
		OperationID: "get-backup", Method: http.MethodGet, Path: "/projects/{project}/backups/{backup}", Tags: tags,
		Summary: "Show a backup", Errors: []int{http.StatusNotFound},
	}, a.getBackup)

	a.removals(tags)
}

func (a *API) listBackups(ctx context.Context, in *listedBackups) (*body[page[admin.Backup]], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	after, err := in.place()
	if err != nil {
		return nil, err
	}
	all, err := a.records.BackupsAfter(ctx, p.ID, in.State, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return paged(all, in.Limit, admin.ShowBackup, func(b records.Backup) string { return cursorOf(b.Started, b.ID) })
}

func (a *API) getBackup(ctx context.Context, in *OfBackup) (*body[admin.Backup], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	b, err := a.records.Backup(ctx, p.ID, in.Backup)
	if errors.Is(err, records.ErrNotFound) {
		return nil, &admin.NotFound{Kind: admin.KindBackup, Name: in.Backup}
	}
	if err != nil {
		return nil, err
	}
	return answered(admin.ShowBackup(b))
}

func (a *API) agents() {
	register(a, huma.Operation{
		OperationID: "list-agents", Method: http.MethodGet, Path: "/projects/{project}/agents", Tags: []string{"agents"},
		Summary:     "List the agents that asked for a project's backups",
		Description: "The one seen last first, each with the backup that it makes now.", Errors: []int{http.StatusNotFound},
	}, a.listAgents)
}

func (a *API) listAgents(ctx context.Context, in *OfProject) (*body[agents], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	all, err := a.records.Agents(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	active, err := a.records.Active(ctx, p.ID)
	if err != nil && !errors.Is(err, records.ErrNotFound) {
		return nil, err
	}
	return answered(agents{Items: admin.ShowAgents(all, active)})
}
