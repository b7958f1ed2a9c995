package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
)

// TestTokens makes, lists and ends tokens, which are shown once.
func TestTokens(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var made, reads admin.Token
	well(t, data, &made, "token", "create", "alice", "--for", "1d12h", "--json")
	if left := time.Until(*made.Expires); made.Token == "" || made.ReadOnly || left < 35*time.Hour || left > 36*time.Hour {
		t.Errorf("%+v", made)
	}
	out := well(t, data, nil, "token", "create", "prometheus", "--read-only")
	if !strings.Contains(out, "Authorization: Bearer dbt_") {
		t.Errorf("it does not say how to use it:\n%s", out)
	}
	for _, command := range [][]string{{"token", "list"}, {"token", "list", "--json"}, {"audit"}} {
		if out := well(t, data, nil, command...); strings.Contains(out, "dbt_") || !strings.Contains(out, "prometheus") {
			t.Errorf("%v: %s", command, out)
		}
	}
	well(t, data, &reads, "token", "revoke", "prometheus", "--json")
	if reads.Revoked != nil && !reads.ReadOnly {
		t.Errorf("%+v", reads)
	}
	well(t, data, nil, "token", "revoke", made.ID)
	if out := well(t, data, nil, "token", "list"); strings.Count(out, "revoked") != 2 {
		t.Errorf("%s", out)
	}
	for want, args := range map[string][]string{
		"choose another":        {"token", "create", "alice"},
		"no duration":           {"token", "create", "bob", "--for", "soon"},
		"is empty":              {"token", "create", ""},
		"no text":               {"token", "create", "a\nb"},
		"more than 200":         {"token", "create", strings.Repeat("x", 201)},
		"dbacked-server token":  {"token", "revoke", "nobody"},
		"there is no token":     {"token", "revoke", "nobody"},
		`is no time zone`:       {"project", "create", "shop", "--timezone", "Nowhere"},
		"the schedule":          {"project", "create", "shop", "--schedule", "sometimes"},
		"dbacked-server projec": {"project", "remove", "shop"},
		"looks like an id":      {"project", "create", made.ID},
	} {
		if _, err, status := said(t, data, args...); status != exitFailure || !strings.Contains(err, want) {
			t.Errorf("%v: %d, %s", args, status, err)
		}
	}
}
