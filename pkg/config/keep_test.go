package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRetention(t *testing.T) {
	c := mustLoad(t, setup{need: NeedRetention, environ: map[string]string{varTimezone: "Europe/Paris"}, envFile: "DBACKED_KEEP_LAST=3\n" +
		"DBACKED_KEEP_DAILY=7\nDBACKED_KEEP_WEEKLY=4\nDBACKED_KEEP_MONTHLY=12\nDBACKED_KEEP_YEARLY=5\nDBACKED_KEEP_FOR=30d\nDBACKED_KEEP_MINIMUM=2d12h\n"})
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	want := Retention{Last: 3, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 5, For: 30 * day, Minimum: 60 * time.Hour, Zone: zone}
	if diff := cmp.Diff(want, c.Retention, cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })); diff != "" {
		t.Error(diff)
	}
	c = mustLoad(t, setup{need: NeedRetention, flags: Flags{KeepFlags: KeepFlags{KeepLast: "1"}}, environ: map[string]string{varKeepLast: "9"}})
	if r := c.Retention; r.Last != 1 || r.Minimum != day || r.Zone != time.Local || c.Source("keep-last") != "--keep-last" {
		t.Errorf("%+v", c.Retention)
	}
}

// TestRetentionWithoutRule: what must not be taken for a wish to remove everything.
func TestRetentionWithoutRule(t *testing.T) {
	for _, given := range []string{"", "DBACKED_KEEP_LAST=0\nDBACKED_KEEP_FOR=0s\n", "DBACKED_KEEP_MINIMUM=1d\n"} {
		got := problems(t, setup{need: NeedRetention, envFile: "A=1\n" + given})
		wantOne(t, got, "nothing says which backups to keep", varKeepLast, varKeepFor, "for example DBACKED_KEEP_DAILY=7")
		wantOne(t, got, "looked for these in", "DIR/shop.env")
		c := mustLoad(t, setup{need: WantRetention, envFile: "A=1\n" + given})
		if c.Retention.HasRule() {
			t.Errorf("%q is a rule", given)
		}
		if alone := strings.Contains(given, "MINIMUM"); alone != (len(c.Warnings) == 1) {
			t.Errorf("%q: %q", given, c.Warnings)
		}
	}
	for _, one := range []string{varKeepLast + "=1", varKeepDaily + "=1", varKeepWeekly + "=1", varKeepMonthly + "=1", varKeepYearly + "=1", varKeepFor + "=1s"} {
		if !mustLoad(t, setup{need: NeedRetention, envFile: one + "\n"}).Retention.HasRule() {
			t.Errorf("%s is no rule", one)
		}
	}
}

// TestRetentionProblems: what is wrong is said once, and not that a rule is missing too.
func TestRetentionProblems(t *testing.T) {
	got := problems(t, setup{need: NeedRetention | NeedSchedule, envFile: "DBACKED_KEEP_LAST=all\nDBACKED_TIMEZONE=Mars\n"})
	wantOne(t, got, "shop.env:1", `"all" is not a number of backups`)
	wantOne(t, got, "shop.env:2", `"Mars" is no time zone`)
	if len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestParseLong(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "30d": 30 * day, "8w": 8 * week, "1w2d3h4m": week + 2*day + 3*time.Hour + 4*time.Minute,
		"36h": 36 * time.Hour, "1d1.5h": day + 90*time.Minute, "15250w": 15250 * week,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30", "d", "-1d", "1d-1h", "-1h", "1.5d", "1d2w", "1y", "1 d", "15251w", "15250w6d", "999999w", "9999999d", "1d\n", "1h2d", "∞"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzParseLong(f *testing.F) {
	for _, text := range []string{"1w2d12h", "30d", "999999w999999d2562047h", "0", "1d1d", "\n", "1.5d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Errorf("%q is %v", text, d)
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%q is %v, and that %v, %v", text, d, again, err)
		}
	})
}
