package rest

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// OfProject is the path of what belongs to a project.
type OfProject struct {
	Project string `path:"project" maxLength:"200" example:"shop" doc:"The project's name, or its id."`
}

type changedProject struct {
	OfProject
	Body admin.ProjectChange
}

func (a *API) projects() {
	tags := []string{"projects"}
	register(a, huma.Operation{
		OperationID: "list-projects", Method: http.MethodGet, Path: "/projects", Tags: tags,
		Summary: "List the projects", Description: "By their names, each with how it is: its newest backup, the one under way, when an agent was seen, how many alerts are open.",
	}, a.listProjects)
	register(a, huma.Operation{
		OperationID: "create-project", Method: http.MethodPost, Path: "/projects", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make a project, and its agents' first key", Description: "The key is shown once, here. The first backup is due at once.",
		Errors: []int{http.StatusConflict},
	}, a.createProject)
	register(a, huma.Operation{
		OperationID: "get-project", Method: http.MethodGet, Path: "/projects/{project}", Tags: tags,
		Summary: "Show a project, and how it is", Errors: []int{http.StatusNotFound},
	}, a.getProject)
	register(a, huma.Operation{
		OperationID: "change-project", Method: http.MethodPatch, Path: "/projects/{project}", Tags: tags,
		Summary: "Change a project", Description: "What is not said stays as it is. The name cannot change.",
		Errors: []int{http.StatusNotFound},
	}, a.changeProject)
	register(a, huma.Operation{
		OperationID: "remove-project", Method: http.MethodDelete, Path: "/projects/{project}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a project that has no backup", Description: "One with backups is kept: they would be lost with it. Its keys can be revoked.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.removeProject)
}

func (a *API) listProjects(ctx context.Context, in *Paging) (*body[page[admin.Project]], error) {
	after, err := base64.RawURLEncoding.DecodeString(in.After)
	name := string(after)
	if err != nil || strings.ContainsRune(name, 0) || strings.ToValidUTF8(name, "") != name {
		return nil, &admin.Invalid{Field: "after", Message: "after is not what a page gave as next"}
	}
	all, err := a.records.Overviews(ctx, name, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return paged(all, in.Limit, admin.ShowOverview, func(o records.Overview) string {
		return base64.RawURLEncoding.EncodeToString([]byte(o.Name))
	})
}

func (a *API) createProject(ctx context.Context, in *struct{ Body admin.NewProject }) (*body[admin.Project], error) {
	p, key, err := a.as(ctx).CreateProject(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	shown := admin.ShowProject(p)
	shown.APIKey = key
	return answered(shown)
}

// overview shows a project as it is now.
func (a *API) overview(ctx context.Context, id string) (*body[admin.Project], error) {
	o, err := a.records.Overview(ctx, id)
	if err != nil {
		return nil, err
	}
	return answered(admin.ShowOverview(o))
}

func (a *API) getProject(ctx context.Context, in *OfProject) (*body[admin.Project], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	return a.overview(ctx, p.ID)
}

func (a *API) changeProject(ctx context.Context, in *changedProject) (*body[admin.Project], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	if _, err := a.as(ctx).ChangeProject(ctx, p.ID, in.Body); err != nil {
		return nil, err
	}
	return a.overview(ctx, p.ID)
}

func (a *API) removeProject(ctx context.Context, in *OfProject) (*struct{}, error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	return nil, a.as(ctx).RemoveProject(ctx, p)
}
