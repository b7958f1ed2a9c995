package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when a test begins.
var start = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, dsn string) *records.Store {
	t.Helper()
	r, err := records.Open(t.Context(), dsn, records.Options{Next: func(_ records.Project, after time.Time) time.Time { return after.Add(time.Hour) }})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dsns(t testing.TB) map[string]string {
	t.Helper()
	s := dbtest.Postgres(t)
	return map[string]string{
		"sqlite":     "sqlite:" + filepath.Join(t.TempDir(), "server.db"),
		"postgresql": fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port),
	}
}

// fill makes a project with a backup that was done, one under way, and alerts; and one
// of which nothing is known.
func fill(t *testing.T, r *records.Store) {
	t.Helper()
	ctx := t.Context()
	p, err := r.CreateProject(ctx, records.Project{Name: "sh\"op"}, start)
	must(t, err)
	_, k, err := r.CreateKey(ctx, p.ID, records.KeyAgent, "", start)
	must(t, err)
	_, err = r.CreateProject(ctx, records.Project{Name: "empty"}, start)
	must(t, err)
	first, _, err := r.Give(ctx, p.ID, records.Ask{AgentID: "a"}, start)
	must(t, err)
	_, begun, err := r.BeginDone(ctx, p.ID, first.ID, "a", "x", start)
	must(t, err)
	begun.Size = 77
	must(t, r.EndDone(ctx, begun, start.Add(time.Minute)))
	second, _, err := r.Give(ctx, p.ID, records.Ask{AgentID: "a"}, start.Add(2*time.Hour))
	must(t, err)
	_, err = r.Heartbeat(ctx, p.ID, second.ID, "a", &records.Progress{StoredBytes: 33}, start.Add(2*time.Hour))
	must(t, err)
	r.Touch(k, "a", "1", start.Add(2*time.Hour))
	_, err = r.Agents(ctx, p.ID) // writes what was touched
	must(t, err)
	turn, _, err := r.TakeTurn(ctx, time.Second, start)
	must(t, err)
	for _, kind := range []string{"late", "failed"} {
		_, err = r.OpenAlert(ctx, turn, records.Alert{ProjectID: p.ID, Kind: kind}, start)
		must(t, err)
	}
}

const want = `
# HELP dbacked_server_alerts_open How many alerts of a kind are open; none is told of a kind that is not.
# TYPE dbacked_server_alerts_open gauge
dbacked_server_alerts_open{kind="failed",project="sh\"op"} 1
dbacked_server_alerts_open{kind="late",project="sh\"op"} 1
# HELP dbacked_server_backups How many backups of all projects are in a state.
# TYPE dbacked_server_backups gauge
dbacked_server_backups{state="completing"} 0
dbacked_server_backups{state="done"} 1
dbacked_server_backups{state="failed"} 0
dbacked_server_backups{state="lost"} 0
dbacked_server_backups{state="open"} 1
# HELP dbacked_server_database_failures_total What the database refused, or did not answer.
# TYPE dbacked_server_database_failures_total counter
dbacked_server_database_failures_total 0
# HELP dbacked_server_database_up Whether the database answered; if it did not, nothing is told of projects.
# TYPE dbacked_server_database_up gauge
dbacked_server_database_up 1
# HELP dbacked_server_project_agent_last_seen_timestamp_seconds When an agent asked for a backup.
# TYPE dbacked_server_project_agent_last_seen_timestamp_seconds gauge
dbacked_server_project_agent_last_seen_timestamp_seconds{project="sh\"op"} 1.7957016e+09
# HELP dbacked_server_project_last_success_bytes What is stored of the newest backup that was done.
# TYPE dbacked_server_project_last_success_bytes gauge
dbacked_server_project_last_success_bytes{project="sh\"op"} 77
# HELP dbacked_server_project_last_success_timestamp_seconds When the newest backup that was done began: what it holds is that old.
# TYPE dbacked_server_project_last_success_timestamp_seconds gauge
dbacked_server_project_last_success_timestamp_seconds{project="sh\"op"} 1.7956944e+09
# HELP dbacked_server_project_late Whether a backup is late, as alerts say.
# TYPE dbacked_server_project_late gauge
dbacked_server_project_late{project="empty"} 0
dbacked_server_project_late{project="sh\"op"} 1
# HELP dbacked_server_project_next_due_timestamp_seconds When the next backup is due; in the past, if one is.
# TYPE dbacked_server_project_next_due_timestamp_seconds gauge
dbacked_server_project_next_due_timestamp_seconds{project="empty"} 1.7956944e+09
dbacked_server_project_next_due_timestamp_seconds{project="sh\"op"} 1.795698e+09
# HELP dbacked_server_project_running Whether a backup is under way.
# TYPE dbacked_server_project_running gauge
dbacked_server_project_running{project="empty"} 0
dbacked_server_project_running{project="sh\"op"} 1
# HELP dbacked_server_project_running_stored_bytes What the backup under way has stored, as its agent said last.
# TYPE dbacked_server_project_running_stored_bytes gauge
dbacked_server_project_running_stored_bytes{project="sh\"op"} 33
# HELP dbacked_server_projects How many projects there are.
# TYPE dbacked_server_projects gauge
dbacked_server_projects 2
`

func TestProjects(t *testing.T) {
	for kind, dsn := range dsns(t) {
		t.Run(kind, func(t *testing.T) {
			r := open(t, dsn)
			fill(t, r)
			now := start.Add(3 * time.Hour)
			m := New(r, Options{Now: func() time.Time { return now }})
			registry := prometheus.NewPedanticRegistry()
			c := newCollector(r, m.options)
			registry.MustRegister(c)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
				t.Error(err)
			}
			if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
				t.Errorf("%v, %v", problems, err)
			}
			_, err := r.CreateProject(t.Context(), records.Project{Name: "new"}, start)
			must(t, err)
			for _, look := range []struct {
				after    time.Duration
				projects int
			}{{keptFor - 1, 2}, {keptFor, 3}} {
				now = start.Add(3 * time.Hour).Add(look.after)
				told := fmt.Sprintf("# HELP dbacked_server_projects How many projects there are.\n# TYPE dbacked_server_projects gauge\ndbacked_server_projects %d\n", look.projects)
				if err := testutil.GatherAndCompare(registry, strings.NewReader(told), "dbacked_server_projects"); err != nil {
					t.Errorf("after %s: %v", look.after, err)
				}
			}
			must(t, r.Close())
			now = now.Add(keptFor)
			got, err := registry.Gather()
			must(t, err)
			if len(got) != 2 { // database_up, database_failures_total
				t.Errorf("without a database it tells %v", got)
			}
		})
	}
}

// service is what the program serves, in short.
func service(t *testing.T, r *records.Store, o Options) string {
	t.Helper()
	m := New(r, o)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /things/{thing}", func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
			t.Errorf("no deadline can be set: %v", err)
		}
		if _, sends := w.(io.ReaderFrom); !sends {
			t.Error("files are not sent as they were")
		}
		if r.PathValue("thing") == "bad" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	s := httptest.NewServer(m.Measure(mux))
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(text)
}

// TestScrape: a token that is read-only is let in, and nobody else; unless all are.
func TestScrape(t *testing.T) {
	r := open(t, "sqlite:"+filepath.Join(t.TempDir(), "server.db"))
	token, _, err := r.CreateToken(t.Context(), records.Token{Name: "prometheus", ReadOnly: true}, time.Now())
	must(t, err)
	p, err := r.CreateProject(t.Context(), records.Project{Name: "shop"}, time.Now())
	must(t, err)
	key, _, err := r.CreateKey(t.Context(), p.ID, records.KeyAgent, "", time.Now())
	must(t, err)
	url := service(t, r, Options{Version: "1.2.3"})
	for _, wrong := range []string{"", "x", key} {
		if status, text := get(t, url+"/metrics", wrong); status != http.StatusUnauthorized || strings.Contains(text, "shop") {
			t.Errorf("%q: %d %s", wrong, status, text)
		}
	}
	for _, path := range []string{"/things/1", "/things/2", "/things/bad", "/nowhere/" + strings.Repeat("x", 100)} {
		get(t, url+path, "")
	}
	status, text := get(t, url+"/metrics", token)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	for _, line := range []string{
		`dbacked_server_requests_total{class="2xx",route="GET /things/{thing}"} 2`,
		`dbacked_server_requests_total{class="4xx",route="GET /things/{thing}"} 1`,
		`dbacked_server_requests_total{class="4xx",route="GET /metrics"} 3`,
		`dbacked_server_requests_total{class="4xx",route="none"} 1`,
		`dbacked_server_request_duration_seconds_count{route="GET /things/{thing}"} 3`,
		`dbacked_server_build_info{goversion="go`,
		`version="1.2.3"} 1`,
		`dbacked_server_project_late{project="shop"} 0`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not tell %s", line)
		}
	}
	if status, _ := get(t, service(t, r, Options{Public: true})+"/metrics", ""); status != http.StatusOK {
		t.Errorf("%d where all are let in", status)
	}
}
