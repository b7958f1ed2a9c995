package rest

import (
	"bytes"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

const about = `Administers a DBacked service: projects, keys of their agents, backups, alerts and who is told of them, and the audit log. What agents say is another protocol, and no part of this.

Every call but the one for this description needs a token, made by ` + "`dbacked-server token create NAME`" + `, in a header: ` + "`Authorization: Bearer dbt_…`" + `. A read-only token may only GET. Agents' keys are no tokens. After 100 wrong tokens in a minute, an address is answered 429.

Times are RFC 3339, in UTC. Errors are those of RFC 9457. Fields and parameters that are not known are refused. A list is paged: it has ` + "`next`" + `, unless it is at its end, to be given as ` + "`after`" + ` for the next page.

What is shown once (keys, tokens, the secret of a webhook) is kept as a hash or not shown again.`

// configuration describes the API but for its operations. Nothing is served beside
// them: huma's page of documentation would load programs from elsewhere.
func configuration() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "DBacked service", Version: "1", Description: about,
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token of an administrator: dbacked-server token create NAME [--read-only]."},
				},
			},
			Security: []map[string][]string{{"token": {}}},
			Tags: []*huma.Tag{
				{Name: "projects", Description: "A project is a database that is backed up."},
				{Name: "keys", Description: "What agents, and restores, say to be let in."},
				{Name: "backups", Description: "Backups that are stored, under way, or failed."},
				{Name: "agents", Description: "The programs that make backups."},
				{Name: "alerts", Description: "What is wrong, and who is told of it."},
				{Name: "audit", Description: "Who did what."},
				{Name: "service", Description: "The service itself."},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{withoutValues},
	}
}

// withoutValues keeps what was sent, which may be a secret, out of what is said of it.
func withoutValues(_ huma.Context, _ string, v any) (any, error) {
	if problem, ok := v.(*huma.ErrorModel); ok {
		for _, detail := range problem.Errors {
			detail.Value = nil
		}
	}
	return v, nil
}

// document is the description, for people too. What is answered may have fields more,
// one day; what is said may not.
func document(o *huma.OpenAPI) ([]byte, error) {
	said := map[*huma.Schema]bool{}
	for _, path := range o.Paths {
		for _, op := range []*huma.Operation{path.Post, path.Patch} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Content {
				said[o.Components.Schemas.SchemaFromRef(content.Schema.Ref)] = true
			}
		}
	}
	for _, schema := range o.Components.Schemas.Map() {
		if !said[schema] {
			schema.AdditionalProperties = nil
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}
