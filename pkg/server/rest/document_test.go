package rest

import (
	"bytes"
	"os"
	"testing"
)

// kept is where the description is kept for people; DBACKED_TEST_WRITE=1 writes it.
const kept = "../../../packaging/doc/openapi.json"

// TestDocument holds the description to OpenAPI 3.1 (newBed validates it), to what is
// kept of it, and to saying something of everything.
func TestDocument(t *testing.T) {
	b := newBed(t, sqlite)
	served := []byte(b.call("", "GET", "/openapi.json", "").body)
	if os.Getenv("DBACKED_TEST_WRITE") != "" {
		b.ok(os.WriteFile(kept, served, 0o644))
	}
	text, err := os.ReadFile(kept)
	b.ok(err)
	if !bytes.Equal(served, text) {
		t.Errorf("%s is not what is served: DBACKED_TEST_WRITE=1 go test -run TestDocument ./pkg/server/rest writes it", kept)
	}
	for path, item := range b.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Summary == "" || len(op.Tags) != 1 || b.doc.Tags.Get(op.Tags[0]) == nil {
				t.Errorf("%s %s: %q, of %v", method, path, op.Summary, op.Tags)
			}
			for _, p := range op.Parameters {
				if p.Value.Description == "" {
					t.Errorf("%s %s does not describe %s", method, path, p.Value.Name)
				}
			}
			for status, answer := range op.Responses.Map() {
				if status[0] >= '4' && (answer.Value.Content["application/problem+json"] == nil) {
					t.Errorf("%s %s: %s is no problem", method, path, status)
				}
			}
		}
	}
	for _, name := range []string{"NewProject", "Project", "Backup", "ErrorModel"} {
		if schema := b.doc.Components.Schemas[name]; schema == nil {
			t.Errorf("there is no schema %s", name)
		} else if closed := schema.Value.AdditionalProperties.Has; (closed != nil) != (name == "NewProject") {
			t.Errorf("%s: whether it may have more fields is %v", name, closed)
		}
	}
}
