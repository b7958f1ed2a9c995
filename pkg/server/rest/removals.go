package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

type deletedBackup struct {
	OfBackup
	Last bool   `query:"last" doc:"Also the last good backup of the project."`
	Now  bool   `query:"now" doc:"Without grace: its files are removed within minutes, for ever."`
	Why  string `query:"why" maxLength:"200" default:"by hand" doc:"Why, for the audit log."`
}

func (a *API) removals(tags []string) {
	errors := []int{http.StatusNotFound, http.StatusConflict}
	path := "/projects/{project}/backups/{backup}"
	register(a, huma.Operation{
		OperationID: "delete-backup", Method: http.MethodDelete, Path: path, Tags: tags, Errors: errors,
		Summary:     "Delete a backup",
		Description: "Nobody sees it any more, and it can be undeleted until the project's grace is over. One that is kept, and the last good one, are refused.",
	}, a.deleteBackup)
	for name, op := range map[string]struct {
		summary, description string
		do                   func(ctx context.Context, p records.Project, id string, as *admin.Admin) (records.Backup, error)
	}{
		"undelete": {
			"Take back that a backup was deleted", "While its files are there. It is kept from then on, since the rule that deleted it would do so again.",
			func(ctx context.Context, p records.Project, id string, as *admin.Admin) (records.Backup, error) {
				return as.UndeleteBackup(ctx, p, id)
			},
		},
		"keep": {
			"Keep a backup, whatever the project's rules say", "",
			func(ctx context.Context, p records.Project, id string, as *admin.Admin) (records.Backup, error) {
				return as.KeepBackup(ctx, p, id, true)
			},
		},
		"release": {
			"Keep a backup no longer than the project's rules say", "",
			func(ctx context.Context, p records.Project, id string, as *admin.Admin) (records.Backup, error) {
				return as.KeepBackup(ctx, p, id, false)
			},
		},
	} {
		register(a, huma.Operation{
			OperationID: name + "-backup", Method: http.MethodPost, Path: path + "/" + name, Tags: tags, Errors: errors,
			Summary: op.summary, Description: op.description,
		}, func(ctx context.Context, in *OfBackup) (*body[admin.Backup], error) {
			return a.withBackup(ctx, in, op.do)
		})
	}
}

// withBackup does something with a backup, and shows what it is then.
func (a *API) withBackup(ctx context.Context, in *OfBackup, do func(context.Context, records.Project, string, *admin.Admin) (records.Backup, error)) (*body[admin.Backup], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	b, err := do(ctx, p, in.Backup, a.as(ctx))
	if err != nil {
		return nil, err
	}
	return answered(admin.ShowBackup(b))
}

func (a *API) deleteBackup(ctx context.Context, in *deletedBackup) (*body[admin.Backup], error) {
	return a.withBackup(ctx, &in.OfBackup, func(ctx context.Context, p records.Project, id string, as *admin.Admin) (records.Backup, error) {
		return as.DeleteBackup(ctx, p, id, in.Why, in.Last, in.Now)
	})
}
