package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/alerts"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func alertsTest(t *testing.T, b *bed) {
	p := b.create("alerts")
	turn, _, err := b.records.TakeTurn(t.Context(), time.Nanosecond, b.now())
	b.ok(err)
	for i := range 3 {
		_, err := b.records.OpenAlert(t.Context(), turn, records.Alert{ProjectID: p.ID, Kind: alerts.KindKey, Subject: fmt.Sprint(i), Text: "it is"}, b.now())
		b.ok(err)
	}
	open, err := b.records.OpenAlerts(t.Context())
	b.ok(err)
	_, err = b.records.CloseAlert(t.Context(), turn, open[0].ID, b.now())
	b.ok(err)
	for query, want := range map[string]int{"": 2, "?state=all": 3, "?project=alerts&state=all": 3, "?project=" + p.ID: 2} {
		var list page[admin.Alert]
		b.call(b.reads, "GET", "/alerts"+query, "").is(http.StatusOK, &list)
		if len(list.Items) != want || list.Items[0].Project != "alerts" || list.Items[0].State != "open" {
			t.Errorf("%s: %+v", query, list)
		}
	}
	var first, second page[admin.Alert]
	b.call(b.reads, "GET", "/alerts?state=all&limit=2", "").is(http.StatusOK, &first)
	b.call(b.reads, "GET", "/alerts?state=all&limit=2&after="+first.Next, "").is(http.StatusOK, &second)
	if len(first.Items) != 2 || len(second.Items) != 1 || second.Items[0].Closed == nil {
		t.Errorf("%+v, then %+v", first, second)
	}
	b.call(b.reads, "GET", "/alerts?project=none", "").fails(http.StatusNotFound, "no project")
	b.call(b.reads, "GET", "/alerts?state=closed", "").fails(http.StatusUnprocessableEntity, "query.state")
	targetsTest(t, b, p)
}

func targetsTest(t *testing.T, b *bed, p admin.Project) {
	var body []byte
	var signed string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		signed = r.Header.Get(alerts.Webhook)
	}))
	defer hook.Close()
	var made admin.Target
	b.call(b.full, "POST", "/alert-targets", `{"kind":"webhook","project":"alerts","url":"`+hook.URL+`/token-77777"}`).is(http.StatusCreated, &made)
	if made.Secret == "" || made.ProjectID != p.ID || strings.Contains(made.To, "token-77777") {
		t.Errorf("%+v", made)
	}
	b.call(b.full, "POST", "/alert-targets", `{"kind":"email","emails":["a@example.org","b@example.org"]}`).is(http.StatusCreated, nil)
	for _, path := range []string{"/alert-targets", "/audit"} {
		if s := b.call(b.reads, "GET", path, "").is(http.StatusOK, nil); strings.Contains(s.body, "token-77777") || strings.Contains(s.body, made.Secret) || !strings.Contains(s.body, "a@example.org, b@example.org") {
			t.Errorf("%s", s.body)
		}
	}
	b.call(b.full, "POST", "/alert-targets/"+made.ID+"/test", "").is(http.StatusNoContent, nil)
	if signed != alerts.Sign(made.Secret, body) || !strings.Contains(string(body), `"kind":"test"`) {
		t.Errorf("%s, signed %s", body, signed)
	}
	hook.Close()
	s := b.call(b.full, "POST", "/alert-targets/"+made.ID+"/test", "")
	s.fails(http.StatusBadGateway, "telling webhook")
	if strings.Contains(s.body, "token-77777") {
		t.Errorf("it says the secret: %s", s.body)
	}
	for body, want := range map[string]string{
		`{"kind":"pigeon"}`:                                "body.kind",
		`{"kind":"email"}`:                                 "body.emails",
		`{"kind":"email","emails":["nobody"]}`:             "body.emails",
		`{"kind":"email","emails":[],"url":"x"}`:           "body.url",
		`{"kind":"webhook","url":"ftp://x"}`:               "body.url",
		`{"kind":"webhook","emails":["a@b.c"]}`:            "body.emails",
		`{"kind":"shoutrrr","url":"nothing://secret-777"}`: "body.url",
		`{"kind":"shoutrrr","url":"logger://"}`:            "body.url",
	} {
		s := b.call(b.full, "POST", "/alert-targets", body)
		s.fails(http.StatusUnprocessableEntity, want)
		if strings.Contains(s.body, "secret-777") {
			t.Errorf("what was sent is said: %s", s.body)
		}
	}
	b.call(b.full, "POST", "/alert-targets", `{"kind":"email","emails":["a@example.org"],"project":"none"}`).fails(http.StatusNotFound, "no project")
	b.call(b.full, "DELETE", "/alert-targets/"+made.ID, "").is(http.StatusNoContent, nil)
	b.call(b.full, "DELETE", "/alert-targets/"+made.ID, "").fails(http.StatusNotFound, "no target")
	b.call(b.full, "POST", "/alert-targets/"+made.ID+"/test", "").fails(http.StatusNotFound, "no target")
}

func auditTest(t *testing.T, b *bed) {
	p := b.create("audited")
	var list page[admin.Entry]
	b.call(b.reads, "GET", "/audit?project=audited", "").is(http.StatusOK, &list)
	if len(list.Items) != 1 || list.Items[0].Actor != "token alice" || list.Items[0].Action != "project-create" || list.Items[0].Project != p.ID {
		t.Errorf("%+v", list)
	}
	seen := map[string]bool{}
	for after := ""; ; {
		b.call(b.reads, "GET", "/audit?limit=1&after="+after, "").is(http.StatusOK, &list)
		for _, e := range list.Items {
			seen[e.ID] = true
		}
		if after = list.Next; after == "" {
			break
		}
		list = page[admin.Entry]{}
	}
	all, err := b.records.AuditLog(t.Context(), "", 1000)
	b.ok(err)
	if len(seen) != len(all) {
		t.Errorf("the pages have %d of %d entries", len(seen), len(all))
	}
}

func infoTest(t *testing.T, b *bed) {
	var info Info
	b.call(b.reads, "GET", "/server", "").is(http.StatusOK, &info)
	if info.Version != "1.2.3" || !strings.HasSuffix(t.Name(), info.Database+"/info") {
		t.Errorf("%+v", info)
	}
	var own admin.Token
	b.call(b.reads, "GET", "/token", "").is(http.StatusOK, &own)
	if own.Name != "prometheus" || !own.ReadOnly || own.Token != "" {
		t.Errorf("%+v", own)
	}
	b.call(b.full, "GET", "/nowhere", "").fails(http.StatusNotFound, "openapi.json")
	b.call(b.full, "PUT", "/projects", "{}").fails(http.StatusNotFound, "PUT")
}
