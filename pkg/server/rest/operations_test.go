package rest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// TestOperations does all there is, on each kind of database.
func TestOperations(t *testing.T) {
	for _, kind := range []string{sqlite, postgresql} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, kind)
			for name, test := range map[string]func(t *testing.T, b *bed){
				"projects": projectsTest, "keys": keysTest, "backups": backupsTest, "alerts": alertsTest, "audit": auditTest, "info": infoTest, "removals": removalsTest,
			} {
				t.Run(name, func(t *testing.T) {
					b.t = t
					test(t, b)
				})
			}
			if n := b.records.Failures(); n != 0 {
				t.Errorf("the database refused %d times", n)
			}
		})
	}
}

const pem = `-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n`

func projectsTest(t *testing.T, b *bed) {
	var made, got, again admin.Project
	b.call(b.full, "POST", "/projects", `{"name":"a b/ü","schedule":"0 2 * * *","timezone":"Europe/Paris","publicKey":"`+pem+`","agentsRestore":true}`).is(http.StatusCreated, &made)
	if made.APIKey == "" || made.Schedule != "0 2 * * *" || !made.Restores || made.NextDue == nil || made.PublicKey == "" {
		t.Errorf("%+v", made)
	}
	b.ask(made.APIKey, "GET", "/projects/own", "").is(http.StatusOK, nil)
	b.call(b.reads, "GET", "/projects/"+made.ID, "").is(http.StatusOK, &got)
	b.call(b.reads, "GET", "/projects/a%20b%2F%C3%BC", "").is(http.StatusOK, &again)
	if got.APIKey != "" || got.Name != "a b/ü" || got.ID != again.ID {
		t.Errorf("%+v, by its name %+v", got, again)
	}
	b.passes(time.Second)
	got = admin.Project{}
	b.call(b.full, "PATCH", "/projects/"+made.ID, `{"timezone":"UTC","agentsRestore":false,"publicKey":""}`).is(http.StatusOK, &got)
	if got.Timezone != "UTC" || got.Schedule != "0 2 * * *" || got.Restores || got.PublicKey != "" || !got.NextDue.Equal(*made.NextDue) {
		t.Errorf("%+v", got)
	}
	b.call(b.full, "POST", "/projects", `{"name":"a b/ü"}`).fails(http.StatusConflict, "already")
	for body, want := range map[string]string{
		`{"name":""}`:                           "body.name",
		`{"name":"a\u0000b"}`:                   "body.name",
		`{"name":"a\nb"}`:                       "body.name",
		`{"name":"` + made.ID + `"}`:            "body.name",
		`{"name":"x","schedule":"sometimes"}`:   "body.schedule",
		`{"name":"x","timezone":"Nowhere"}`:     "body.timezone",
		`{"name":"x","timezone":"../passwd"}`:   "body.timezone",
		`{"name":"x","publicKey":"secret-777"}`: "body.publicKey",
		`{"name":"x","color":"secret-777"}`:     "body.color",
		`{"name":1}`:                            "body.name",
		`{}`:                                    "name",
	} {
		s := b.call(b.full, "POST", "/projects", body)
		s.fails(http.StatusUnprocessableEntity, want)
		if strings.Contains(s.body, "secret-777") {
			t.Errorf("what was sent is said: %s", s.body)
		}
	}
	for _, body := range []string{`hello`, `{"name":"x"}{}`, `{"name":"x"`, ``} {
		b.call(b.full, "POST", "/projects", body).fails(http.StatusBadRequest, "")
	}
	b.call(b.full, "PATCH", "/projects/"+made.ID, `{"schedule":"sometimes"}`).fails(http.StatusUnprocessableEntity, "body.schedule")
	b.call(b.full, "PATCH", "/projects/"+made.ID, `{"name":"other"}`).fails(http.StatusUnprocessableEntity, "body.name")
	for _, call := range [][2]string{{"GET", ""}, {"PATCH", "{}"}, {"DELETE", ""}} {
		b.call(b.full, call[0], "/projects/none", call[1]).fails(http.StatusNotFound, "no project")
	}
	b.call(b.full, "GET", "/projects/a%00b", "").fails(http.StatusBadRequest, "no text")
	b.call(b.full, "GET", "/projects/%ff", "").fails(http.StatusBadRequest, "no text")

	for i := range 5 {
		b.create(fmt.Sprint("p", i))
	}
	var names []string
	for after := ""; ; {
		var list page[admin.Project]
		b.call(b.reads, "GET", "/projects?limit=2&after="+after, "").is(http.StatusOK, &list)
		for _, p := range list.Items {
			names = append(names, p.Name)
		}
		if after = list.Next; after == "" {
			break
		}
	}
	if all := strings.Join(names, " "); !strings.Contains(all, "a b/ü") || !strings.Contains(all, "p0 p1 p2 p3 p4") {
		t.Errorf("the pages have %s", all)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after=$", "color=red"} {
		b.call(b.reads, "GET", "/projects?"+query, "").fails(http.StatusUnprocessableEntity, "query."+query[:strings.Index(query, "=")])
	}
	b.call(b.full, "DELETE", "/projects/"+made.ID, "").is(http.StatusNoContent, nil)
	b.call(b.full, "GET", "/projects/"+made.ID, "").fails(http.StatusNotFound, "no project")
	if log := b.call(b.reads, "GET", "/audit?project="+made.ID, "").body; !strings.Contains(log, "project-create") || !strings.Contains(log, "project-set") || !strings.Contains(log, "project-remove") || !strings.Contains(log, "token alice") {
		t.Errorf("the audit log has %s", log)
	}
}

func keysTest(t *testing.T, b *bed) {
	p, other := b.create("keys"), b.create("keys of another")
	var made admin.Key
	b.call(b.full, "POST", "/projects/keys/keys", `{"kind":"restore","label":"safe"}`).is(http.StatusCreated, &made)
	b.ask(made.APIKey, "GET", "/projects/own", "").is(http.StatusOK, nil)
	var list keys
	s := b.call(b.reads, "GET", "/projects/keys/keys", "").is(http.StatusOK, &list)
	if len(list.Items) != 2 || list.Items[1].Label != "safe" || strings.Contains(s.body, "dbk_") {
		t.Errorf("%s", s.body)
	}
	b.call(b.full, "DELETE", "/projects/"+other.ID+"/keys/"+made.ID, "").fails(http.StatusNotFound, "no key")
	b.ask(made.APIKey, "GET", "/projects/own", "").is(http.StatusOK, nil)
	for range 2 {
		b.call(b.full, "DELETE", "/projects/"+p.ID+"/keys/"+made.ID, "").is(http.StatusNoContent, nil)
	}
	b.ask(made.APIKey, "GET", "/projects/own", "").is(http.StatusUnauthorized, nil)
	b.call(b.full, "POST", "/projects/keys/keys", `{"kind":"admin"}`).fails(http.StatusUnprocessableEntity, "body.kind")
	b.call(b.full, "POST", "/projects/keys/keys", `{"label":"a\u0000"}`).fails(http.StatusUnprocessableEntity, "body.label")
	b.call(b.full, "POST", "/projects/none/keys", `{}`).fails(http.StatusNotFound, "no project")
	b.call(b.full, "GET", "/projects/none/keys", "").fails(http.StatusNotFound, "no project")
	b.call(b.full, "DELETE", "/projects/keys/keys/none", "").fails(http.StatusNotFound, "no key")
	var plain admin.Key
	b.call(b.full, "POST", "/projects/keys/keys", `{}`).is(http.StatusCreated, &plain)
	if plain.Kind != records.KeyAgent {
		t.Errorf("%+v", plain)
	}
}

func backupsTest(t *testing.T, b *bed) {
	p := b.create("backups")
	failed := b.given(p, "db1")
	b.ask(p.APIKey, "POST", "/projects/"+p.ID+"/backups/"+failed+"/status", `{"status":"ERROR","agentId":"db1","error":"no room"}`).is(http.StatusOK, nil)
	b.passes(time.Second)
	id := b.given(p, "db2")
	b.ask(p.APIKey, "POST", "/projects/"+p.ID+"/backups/"+id+"/heartbeat", `{"agentId":"db2","progress":{"stage":"dump","plainBytes":50,"storedBytes":20}}`).is(http.StatusOK, nil)
	var one admin.Backup
	b.call(b.reads, "GET", "/projects/backups/backups/"+id, "").is(http.StatusOK, &one)
	if one.State != records.StateOpen || one.Progress == nil || *one.Progress != (admin.Progress{Stage: "dump", PlainBytes: 50, StoredBytes: 20}) {
		t.Errorf("%+v", one)
	}
	var first, second page[admin.Backup]
	b.call(b.reads, "GET", "/projects/backups/backups?limit=1", "").is(http.StatusOK, &first)
	b.call(b.reads, "GET", "/projects/backups/backups?limit=1&after="+first.Next, "").is(http.StatusOK, &second)
	if len(first.Items) != 1 || first.Items[0].ID != id || len(second.Items) != 1 || second.Items[0].Error != "no room" || second.Next != "" {
		t.Errorf("%+v, then %+v", first, second)
	}
	b.call(b.reads, "GET", "/projects/backups/backups?state=done,failed", "").is(http.StatusOK, &first)
	if len(first.Items) != 1 || first.Items[0].ID != failed {
		t.Errorf("%+v", first)
	}
	var made agents
	b.call(b.reads, "GET", "/projects/backups/agents", "").is(http.StatusOK, &made)
	if len(made.Items) != 2 || made.Items[0].ID != "db2" || made.Items[0].UnderWay == nil || made.Items[0].UnderWay.Progress.StoredBytes != 20 || made.Items[1].UnderWay != nil {
		t.Errorf("%+v", made)
	}
	var shown admin.Project
	b.call(b.reads, "GET", "/projects/backups", "").is(http.StatusOK, &shown)
	if shown.UnderWay == nil || shown.UnderWay.ID != id || shown.UnderWay.Progress.PlainBytes != 50 || shown.LastSeen == nil || shown.LastBackup != nil {
		t.Errorf("%+v", shown)
	}
	b.call(b.full, "DELETE", "/projects/backups", "").fails(http.StatusConflict, "2 backups")
	for _, query := range []string{"state=x", "after=x", "after=" + cursorOf(time.Now(), "a\x00"), "limit=-1"} {
		b.call(b.reads, "GET", "/projects/backups/backups?"+query, "").fails(http.StatusUnprocessableEntity, "query.")
	}
	b.call(b.reads, "GET", "/projects/backups/backups/none", "").fails(http.StatusNotFound, "no backup")
	for _, path := range []string{"backups", "backups/x", "agents"} {
		b.call(b.reads, "GET", "/projects/none/"+path, "").fails(http.StatusNotFound, "no project")
	}
	b.create("another")
	b.call(b.reads, "GET", "/projects/another/backups/"+id, "").fails(http.StatusNotFound, "no backup")
}
