package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dbacked/dbacked/pkg/server/admin"
)

type ofKey struct {
	OfProject
	Key string `path:"key" maxLength:"200" doc:"The key's id, not the key itself."`
}

type newKey struct {
	OfProject
	Body admin.NewKey
}

type keys struct {
	Items []admin.Key `json:"items" nullable:"false"`
}

func (a *API) keys() {
	tags := []string{"keys"}
	register(a, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/projects/{project}/keys", Tags: tags,
		Summary: "List a project's keys, also revoked ones, without what they are", Errors: []int{http.StatusNotFound},
	}, a.listKeys)
	register(a, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/projects/{project}/keys", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make a key", Description: "It is shown once, here.", Errors: []int{http.StatusNotFound},
	}, a.createKey)
	register(a, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/projects/{project}/keys/{key}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "End a key", Description: "At once. It stays in the list, as revoked.", Errors: []int{http.StatusNotFound},
	}, a.revokeKey)
}

func (a *API) listKeys(ctx context.Context, in *OfProject) (*body[keys], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	all, err := a.records.Keys(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	shown := keys{Items: []admin.Key{}}
	for _, k := range all {
		shown.Items = append(shown.Items, admin.ShowKey(k))
	}
	return answered(shown)
}

func (a *API) createKey(ctx context.Context, in *newKey) (*body[admin.Key], error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	plain, k, err := a.as(ctx).CreateKey(ctx, p.ID, in.Body)
	if err != nil {
		return nil, err
	}
	shown := admin.ShowKey(k)
	shown.APIKey = plain
	return answered(shown)
}

func (a *API) revokeKey(ctx context.Context, in *ofKey) (*struct{}, error) {
	p, err := a.as(ctx).Project(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	return nil, a.as(ctx).RevokeKey(ctx, p.ID, in.Key)
}
