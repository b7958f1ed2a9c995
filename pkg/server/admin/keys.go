package admin

import (
	"context"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// NewKey is one that is to be made.
type NewKey struct {
	Kind  string `json:"kind,omitempty" enum:"agent,restore" default:"agent" doc:"agent: can only add, unless the project allows more. restore: can list and download."`
	Label string `json:"label,omitempty" maxLength:"200" example:"safe" doc:"Who has it."`
}

// CreateKey makes a key of a project. plain is the key, which is shown by this alone.
func (a *Admin) CreateKey(ctx context.Context, projectID string, n NewKey) (plain string, k records.Key, err error) {
	if n.Kind != records.KeyAgent && n.Kind != records.KeyRestore {
		return "", k, invalidf("kind", "there are keys of the kinds %s and %s", records.KeyAgent, records.KeyRestore)
	}
	if err := labelled("label", n.Label); err != nil {
		return "", k, err
	}
	plain, k, err = a.records.CreateKey(ctx, projectID, n.Kind, n.Label, a.now())
	if err != nil {
		return "", k, err
	}
	return plain, k, a.audit(ctx, "key-create", projectID, k.ID+" "+k.Kind)
}

// RevokeKey ends a key; of which project, if projectID is not "".
func (a *Admin) RevokeKey(ctx context.Context, projectID, id string) error {
	k, err := a.records.Key(ctx, id)
	if err == nil && projectID != "" && k.ProjectID != projectID {
		err = records.ErrNotFound
	}
	if err == nil {
		err = a.records.RevokeKey(ctx, id, a.now())
	}
	if err != nil {
		return missing(err, KindKey, id)
	}
	return a.audit(ctx, "key-revoke", k.ProjectID, id)
}
