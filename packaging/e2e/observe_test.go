//go:build e2e

package e2e

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// journalFields: the entries have fields, and the catalogue explains them.
func journalFields(t *testing.T, b *bed) {
	out := b.run(t, "journalctl", "-u", "dbacked@a", "-o", "json", "--no-pager")
	want := map[string]int{} // field → entries that have it
	for line := range strings.Lines(out) {
		var e map[string]any
		must(t, json.Unmarshal([]byte(line), &e))
		for _, name := range []string{"DBACKED_INSTANCE", "DBACKED_BACKUP_ID", "PRIORITY", "MESSAGE_ID", "MESSAGE", "DBACKED_EVENT"} {
			if _, ok := e[name].(string); ok && e["SYSLOG_IDENTIFIER"] == "dbacked" {
				want[name]++
			}
		}
	}
	t.Logf("entries with each field: %v", want)
	for _, name := range []string{"DBACKED_INSTANCE", "DBACKED_BACKUP_ID", "PRIORITY", "MESSAGE_ID"} {
		if want[name] == 0 {
			t.Errorf("no entry of dbacked@a has %s", name)
		}
	}
	explained := b.run(t, "journalctl", "-u", "dbacked@a", "-x", "--no-pager")
	for _, words := range []string{"Defined-By: dbacked", "man:dbacked(1)", "was proved"} {
		if !strings.Contains(explained, words) {
			t.Errorf("journalctl -x does not say %q", words)
		}
	}
	if regexp.MustCompile(`@DBACKED_[A-Z_]+@`).MatchString(explained) {
		t.Error("journalctl -x leaves names of fields as they are")
	}
}

// metrics: Prometheus's own linter has nothing to say.
func metrics(t *testing.T, b *bed) {
	for _, instance := range []string{"a", "b"} {
		_, text := b.get(t, instance, "/metrics")
		r := b.feed(t, text, "promtool", "check", "metrics")
		if r.status != 0 || r.out+r.err != "" {
			t.Errorf("promtool check metrics, of %s: exit status %d\n%s%s", instance, r.status, r.out, r.err)
		}
		if !strings.Contains(text, "dbacked_last_success_timestamp_seconds") {
			t.Errorf("%s has no time of the last success:\n%s", instance, text)
		}
	}
}

// maxExposure is how exposed systemd may find an instance, of 10.
const maxExposure = 1.2

// hardening: systemd finds nothing wrong with the units, and little exposed.
func hardening(t *testing.T, b *bed) {
	if n := b.expectClean(t, "dbacked"); n < 8 {
		t.Errorf("the package has only %d units", n)
	}
	for _, unit := range []string{"dbacked@a.service", "dbacked-verify@a.service", "dbacked-health@a.service"} {
		b.expectExposure(t, unit)
	}
}

// expectClean has systemd verify the units of a package, and counts them.
func (b *bed) expectClean(t *testing.T, name string) int {
	t.Helper()
	units := strings.Fields(b.sh(t, `dpkg -L %s | grep '^/usr/lib/systemd/system/.*\.'`, name))
	r := b.try(t, append([]string{"systemd-analyze", "verify", "--man=no"}, units...)...)
	if r.status != 0 || r.out+r.err != "" {
		t.Errorf("systemd-analyze verify: exit status %d\n%s%s", r.status, r.out, r.err)
	}
	return len(units)
}

func (b *bed) expectExposure(t *testing.T, unit string) {
	t.Helper()
	out := strings.TrimSpace(b.run(t, "systemd-analyze", "security", "--no-pager", unit))
	last := out[strings.LastIndexByte(out, '\n')+1:]
	t.Log(last)
	match := regexp.MustCompile(`: ([0-9.]+)`).FindStringSubmatch(last)
	if match == nil {
		t.Fatalf("systemd-analyze security says no number:\n%s", out)
	}
	if score, err := strconv.ParseFloat(match[1], 64); err != nil || score > maxExposure {
		t.Errorf("the exposure of %s is %v, more than %v:\n%s", unit, score, maxExposure, out)
	}
}
