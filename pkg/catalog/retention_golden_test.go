package catalog

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/retention"
)

var updateGolden = flag.Bool("update", false, "write the golden files of the plans")

const hour, day = time.Hour, 24 * time.Hour

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	return must[time.Time](t)(time.Parse(time.RFC3339, text))
}

// dated is a good backup that the store took at t.
func dated(n int, t time.Time) Dated {
	id := fmt.Sprintf("%s-%06x", t.UTC().Format(idTime), n)
	m := manifest(id)
	m.Started, m.Finished = t.Add(-time.Minute), t
	return Dated{Entry: Entry{ID: id, Manifest: m}, Date: t, Stored: 7}
}

// every is n backups, the last one at end.
func every(n int, gap time.Duration, end time.Time) []Dated {
	var all []Dated
	for i := range n {
		all = append(all, dated(i, end.Add(-time.Duration(i)*gap)))
	}
	return all
}

func at(t testing.TB, times ...string) []Dated {
	var all []Dated
	for i, text := range times {
		all = append(all, dated(i, utc(t, text)))
	}
	return all
}

// histories are what stores hold.
func histories(t testing.TB) map[string][]Dated {
	return map[string][]Dated{
		"none":   nil,
		"one":    at(t, "2026-11-22T02:30:00Z"),
		"hourly": every(8*24, hour, utc(t, "2026-11-22T21:56:43Z")),
		"daily":  every(400, day, utc(t, "2026-03-31T01:30:00Z")),
		"sparse": at(t, "2026-11-22T02:30:00Z", "2026-11-21T02:30:00Z", "2026-11-21T01:00:00Z", "2026-08-03T00:00:00Z", "2026-08-02T23:59:59Z",
			"2025-12-31T23:30:00Z", "2025-12-28T12:00:00Z", "2024-02-29T12:00:00Z", "2020-01-01T00:00:00Z"),
		// Clocks in Paris go back at 01:00 UTC on 25 October and forward on 29 March.
		"autumn": every(30, hour, utc(t, "2026-10-26T02:00:00Z")),
		"spring": every(30, hour, utc(t, "2026-03-30T02:00:00Z")),
		// In St. John's they went back at 00:01 then, so that there a day came twice.
		"twice": every(12, 20*time.Minute, utc(t, "2010-11-07T04:30:00Z")),
		// In Apia there was no 30 December 2011.
		"skipped": every(10, 12*hour, utc(t, "2012-01-02T06:00:00Z")),
		// Weeks of two years.
		"newyear": every(16, day, utc(t, "2027-01-08T23:30:00Z")),
	}
}

func policies() []Policy {
	return []Policy{
		{},
		{Minimum: 30 * day},
		{KeepLast: 1},
		{KeepLast: 3, Minimum: 2 * day},
		{Daily: 7},
		{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3, Minimum: day},
		{Weekly: 5},
		{Monthly: 2},
		{Yearly: 10},
		{For: 36 * hour},
		{KeepLast: 2, For: 30 * day, Yearly: 1},
	}
}

// inWords is a policy for people.
func inWords(p Policy) string {
	words := []string{"policy:"}
	for _, rule := range []struct {
		name string
		n    int
	}{{"last", p.KeepLast}, {"daily", p.Daily}, {"weekly", p.Weekly}, {"monthly", p.Monthly}, {"yearly", p.Yearly}} {
		if rule.n > 0 {
			words = append(words, fmt.Sprintf("%s %d", rule.name, rule.n))
		}
	}
	return strings.Join(words, " ") + fmt.Sprintf(" for %s minimum %s", retention.Long(p.For), retention.Long(p.Minimum))
}

// TestPlanGolden: each history, in the zones where it is told differently.
func TestPlanGolden(t *testing.T) {
	zones := map[string][]string{
		"hourly": {"UTC", "Pacific/Kiritimati"}, "sparse": {"UTC", "America/New_York"}, "autumn": {"UTC", "Europe/Paris"}, "spring": {"UTC", "Europe/Paris"},
		"twice": {"UTC", "America/St_Johns"}, "skipped": {"UTC", "Pacific/Apia"}, "newyear": {"UTC", "Asia/Tokyo"},
	}
	for name, history := range histories(t) {
		if zones[name] == nil {
			zones[name] = []string{"UTC"}
		}
		for _, zoneName := range zones[name] {
			zone := must[*time.Location](t)(time.LoadLocation(zoneName))
			var text strings.Builder
			for _, p := range policies() {
				p.Zone = zone
				fmt.Fprintf(&text, "# %s\n", inWords(p))
				writePlan(&text, Plan(newestOf(history).Add(5*time.Minute), history, p), zone)
			}
			golden(t, name+"."+strings.ReplaceAll(zoneName, "/", "-"), text.String())
		}
	}
}

func newestOf(backups []Dated) (newest time.Time) {
	for _, b := range backups {
		if b.Date.After(newest) {
			newest = b.Date
		}
	}
	return newest
}

// writePlan shows a plan; what follows each other and goes for one reason is
// one line.
func writePlan(w *strings.Builder, p Pruning, zone *time.Location) {
	type group struct {
		first, last Decision
		count       int
	}
	var groups []group
	for _, d := range p.Decisions {
		if n := len(groups); n > 0 && d.Action == groups[n-1].last.Action && d.Reason == groups[n-1].last.Reason {
			groups[n-1].last = d
			groups[n-1].count++
			continue
		}
		groups = append(groups, group{d, d, 1})
	}
	const layout = "Mon 2006-01-02 15:04:05 MST"
	for _, g := range groups {
		span := g.first.Date.In(zone).Format(layout)
		if g.count > 1 {
			span = fmt.Sprintf("%s to %s (%d)", span, g.last.Date.In(zone).Format(layout), g.count)
		}
		fmt.Fprintf(w, "%-6s %s: %s\n", g.first.Action, span, g.first.Reason)
	}
	fmt.Fprintf(w, "%d of %d go\n", len(p.Removals()), len(p.Decisions))
	for _, c := range p.Cautions {
		fmt.Fprintf(w, "caution: %s\n", c)
	}
	for _, a := range p.Alerts {
		fmt.Fprintf(w, "alert: %s\n", a)
	}
	fmt.Fprintln(w)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "plan", name+".golden")
	if *updateGolden {
		ok(t, os.MkdirAll(filepath.Dir(path), 0o755))
		ok(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is missing: go test ./pkg/catalog -run Golden -update", path)
	}
	ok(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
