package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// removalsTest deletes backups, and takes that back.
func removalsTest(t *testing.T, b *bed) {
	p := b.create("removals")
	failed := b.given(p, "db1")
	b.ask(p.APIKey, "POST", "/projects/"+p.ID+"/backups/"+failed+"/status", `{"status":"ERROR","agentId":"db1"}`).is(http.StatusOK, nil)
	var done []string
	for range 2 {
		id := b.given(p, "db1")
		_, begun, err := b.records.BeginDone(t.Context(), p.ID, id, "db1", "x", b.now())
		b.ok(err)
		b.ok(b.records.EndDone(t.Context(), begun, b.now()))
		done = append(done, id)
		b.passes(25 * time.Hour)
	}
	path := "/projects/removals/backups/"
	b.call(b.full, "DELETE", path+failed, "").fails(http.StatusConflict, "not done")
	b.call(b.full, "DELETE", path+"none", "").fails(http.StatusNotFound, "no backup")
	b.call(b.full, "DELETE", "/projects/none/backups/"+done[0], "").fails(http.StatusNotFound, "no project")
	var got admin.Backup
	b.call(b.full, "POST", path+done[0]+"/keep", "").is(http.StatusOK, &got)
	b.call(b.full, "DELETE", path+done[0], "").fails(http.StatusConflict, "is kept")
	if !got.Kept {
		t.Errorf("%+v", got)
	}
	b.call(b.full, "POST", path+done[0]+"/release", "").is(http.StatusOK, nil)
	b.call(b.full, "DELETE", path+done[0]+"?why=a+test", "").is(http.StatusOK, &got)
	if got.Removal != records.PhaseDeleted || got.DeletedBy != "token alice" || got.DeletedWhy != "a test" || got.RemoveAfter == nil {
		t.Errorf("%+v", got)
	}
	b.call(b.full, "DELETE", path+done[1], "").fails(http.StatusConflict, "last good one")
	var shown admin.Project
	b.call(b.reads, "GET", "/projects/removals", "").is(http.StatusOK, &shown)
	if shown.LastBackup == nil || shown.LastBackup.ID != done[1] || shown.Retention.Grace == "" {
		t.Errorf("%+v", shown)
	}
	got = admin.Backup{}
	b.call(b.full, "POST", path+done[0]+"/undelete", "").is(http.StatusOK, &got)
	if got.Removal != "" || !got.Kept || got.DeletedAt != nil {
		t.Errorf("%+v", got)
	}
	b.call(b.full, "DELETE", path+done[1]+"?now=true&last=true", "").is(http.StatusOK, nil)
	b.call(b.full, "DELETE", path+done[1]+"?now=perhaps", "").fails(http.StatusUnprocessableEntity, "query.now")
	b.call(b.full, "DELETE", "/projects/removals", "").fails(http.StatusConflict, "is kept")
	log := b.call(b.reads, "GET", "/audit?project=removals", "").body
	for _, action := range []string{"backup-keep", "backup-release", "backup-delete", "backup-undelete"} {
		if !strings.Contains(log, action) {
			t.Errorf("the audit log does not say %s", action)
		}
	}
}
