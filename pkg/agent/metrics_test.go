package agent

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestPromtool has Prometheus's own linter read the metrics of every state.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	dbtest.Need(t, "promtool (Debian: prometheus)", err)
	for name, status := range samples() {
		s := serve(t, "unix", NewHandler(told{status: status}, nil))
		check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		check.Stdin = strings.NewReader(s.wants(200, "GET", "/metrics"))
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestMetricsAreClean(t *testing.T) {
	for name, status := range samples() {
		problems, err := testutil.CollectAndLint(collector{told{status: status}})
		if err != nil {
			t.Error(name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
}

func TestMetrics(t *testing.T) {
	for name, wants := range map[string][]string{
		"idle": {
			`dbacked_healthy{name="shop"} 1`, `dbacked_attempts_total{name="shop"} 6`, `dbacked_backups_total{name="shop"} 4`,
			`dbacked_lock_waits_total{name="shop"} 1`, `dbacked_failures_total{name="shop",stage="dump"} 1`, `dbacked_failures_total{name="shop",stage="lock"} 0`,
			`dbacked_last_success_timestamp_seconds{name="shop"} 1.795482011e+09`, `dbacked_last_attempt_timestamp_seconds{name="shop"} 1.795482011e+09`,
			`dbacked_next_run_timestamp_seconds{name="shop"} 1.7955684e+09`, `dbacked_last_duration_seconds{name="shop"} 128`,
			`dbacked_last_plain_bytes{name="shop"} 5.1e+09`, `dbacked_last_stored_bytes{name="shop"} 1.34e+09`,
			`dbacked_running{name="shop",stage="dump"} 0`, `dbacked_running_plain_bytes{name="shop"} 0`,
			`dbacked_snapshot_age_seconds{name="shop"} 0`, `dbacked_blocked_sessions_total{name="shop"} 0`,
			`dbacked_info{engine="postgresql",name="shop",server_version="15.18 (Debian 15.18-0+deb12u1)",version="1.4.0"} 1`,
			`dbacked_process_resident_memory_bytes{name="shop"} `,
		},
		"running": {
			`dbacked_running{name="shop",stage="dump"} 1`, `dbacked_running{name="shop",stage="commit"} 0`,
			`dbacked_snapshot_age_seconds{name="shop"} 93`, `dbacked_blocked_sessions_total{name="shop"} 5`,
			`dbacked_running_plain_bytes{name="shop"} 3.4e+09`, `dbacked_running_stored_bytes{name="shop"} 9.61e+08`,
			`dbacked_last_attempt_timestamp_seconds{name="shop"} 1.795534706e+09`,
		},
		"failed": {`dbacked_healthy{name="shop"} 0`, `dbacked_failures_total{name="shop",stage="upload"} 1`},
		"none":   {`dbacked_healthy{name="shop"} 0`, `dbacked_info{engine="",name="shop",server_version="",version="1.4.0"} 1`},
	} {
		text := serve(t, "unix", NewHandler(told{status: samples()[name]}, nil)).wants(200, "GET", "/metrics")
		for _, want := range wants {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(want)).MatchString(text) {
				t.Errorf("%s lacks %s:\n%s", name, want, text)
			}
		}
	}
	// Nothing is told of what there is not: an age since 1970 would be an alarm.
	text := serve(t, "unix", NewHandler(told{status: samples()["none"]}, nil)).wants(200, "GET", "/metrics")
	if strings.Contains(text, "dbacked_last_") {
		t.Errorf("there is no backup, and %s", text)
	}
}
