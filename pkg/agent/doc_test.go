package agent

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../packaging/doc", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the first block of code of a language that holds a word.
func block(t *testing.T, text, language, word string) string {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], word) {
			return m[1]
		}
	}
	t.Fatalf("there is no %s with %q", language, word)
	return ""
}

// TestSchemaIsDocumented compares the example and the tables of status.md with
// the types.
func TestSchemaIsDocumented(t *testing.T) {
	text := document(t, "status.md")
	d := json.NewDecoder(strings.NewReader(block(t, text, "json", "version")))
	d.DisallowUnknownFields()
	var example Status
	if err := d.Decode(&example); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []reflect.Type{reflect.TypeFor[Status](), reflect.TypeFor[Backup](), reflect.TypeFor[Running](), reflect.TypeFor[Run](), reflect.TypeFor[Finding]()} {
		for f := range kind.Fields() {
			field, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+field+"`") {
				t.Errorf("%s.%s is not explained", kind.Name(), field)
			}
			if kind != reflect.TypeFor[Finding]() && !strings.Contains(text, `"`+field+`":`) {
				t.Errorf("%s.%s is not in the example", kind.Name(), field)
			}
		}
	}
	for _, state := range []string{StateStarting, StateIdle, StateRunning, StateRetrying, StateDraining, StateStopping, ReasonDue, ReasonRetry, ReasonRequested} {
		if !strings.Contains(text, "`"+state+"`") {
			t.Errorf("%s is not explained", state)
		}
	}
}

// TestMetricsAreDocumented compares monitoring.md with what is served.
func TestMetricsAreDocumented(t *testing.T) {
	text := document(t, "monitoring.md")
	served := map[string]bool{}
	for _, s := range samples() {
		page := serve(t, "unix", NewHandler(told{status: s}, nil)).wants(200, "GET", "/metrics")
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+)`).FindAllStringSubmatch(page, -1) {
			served[m[1]] = true
			if !strings.Contains(text, "`"+m[1]+"`") && !strings.HasPrefix(m[1], "dbacked_process_") {
				t.Errorf("%s is not explained", m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`\bdbacked_\w+`).FindAllString(text, -1) {
		if !served[m] && m != "dbacked_process_" {
			t.Errorf("%s is explained, and not served", m)
		}
	}
}

// TestMonitoringExamples has Prometheus read the configuration and the rules.
func TestMonitoringExamples(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	dbtest.Need(t, "promtool (Debian: prometheus)", err)
	for word, check := range map[string]string{"scrape_configs:": "config", "groups:": "rules"} {
		file := filepath.Join(t.TempDir(), check+".yml")
		if err := os.WriteFile(file, []byte(block(t, document(t, "monitoring.md"), "yaml", word)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "check", check, file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
