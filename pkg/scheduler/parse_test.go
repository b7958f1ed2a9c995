package scheduler

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	same := []struct{ a, b string }{
		{"@hourly", "0 * * * *"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@weekly", "0 0 * * SUN"},
		{"@monthly", "0 0 1 * *"},
		{"@yearly", "0 0 1 1 *"},
		{"@Annually", "0 0 1 JAN *"},
		{"  0\t04  * * * ", "0 4 * * *"},
		{"*/20 * * * *", "0,20,40 * * * *"},
		{"10-30/10 * * * *", "10,20,30 * * * *"},
		{"0 0 * jan-mar,Dec mon-FRI", "0 0 * 1,2,3,12 1,2,3,4,5"},
		{"0 0 * * 7", "0 0 * * 0"},
		{"0 0 * * fri-sun", "0 0 * * 0,5,6"},
		{"0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"0 0 * * 0-7", "0 0 * * *"},
		{"1,1,1-2 5 * * *", "1,2 5 * * *"},
	}
	for _, c := range same {
		a, b := mustParse(t, c.a, "UTC"), mustParse(t, c.b, "UTC")
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if got, want := nexts(a, from, 100), nexts(b, from, 100); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q is not %q: %s, %s", c.a, c.b, got[:3], want[:3])
		}
	}
	if got := mustParse(t, " 0\t4  * * * ", "UTC").String(); got != "0 4 * * *" {
		t.Errorf("String is %q", got)
	}
	if got := mustParse(t, "@daily", "UTC").String(); got != "@daily" {
		t.Errorf("String is %q", got)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for expr, want := range map[string]string{
		"":                `it has 0 fields: use five`,
		"0 2 * *":         `it has 4 fields: use five`,
		"0 0 2 * * *":     `it has 6 fields: use five`,
		"@reboot":         `unknown name: use @hourly, @daily`,
		"@every 5m":       `unknown name: use @hourly, @daily`,
		"60 * * * *":      `minute "60": "60" is none: use *, 0-59, ranges`,
		"-5 * * * *":      `minute "-5": "" is none`,
		"+5 * * * *":      `minute "+5": "+5" is none`,
		"* 24 * * *":      `hour "24": "24" is none: use *, 0-23, ranges`,
		"0 2,,3 * * *":    `hour "2,,3": "" is none`,
		"0 0 0 * *":       `day of month "0": "0" is none: use *, 1-31`,
		"0 0 32 * *":      `day of month "32"`,
		"0 0 L * *":       `day of month "L": "L" is none`,
		"0 0 ? * *":       `day of month "?"`,
		"0 0 * 13 *":      `month "13": "13" is none: use *, 1-12, JAN-DEC`,
		"0 0 * january *": `month "january"`,
		"0 0 * * 8":       `day of week "8": "8" is none: use *, 0-7, SUN-SAT`,
		"0 0 * * JAN":     `day of week "JAN"`,
		"0 22-2 * * *":    `hour "22-2": the range 22-2 ends before it begins: make two of it, 22-23,0-2`,
		"0 0 * * 6-1":     `the range 6-1 ends before it begins`,
		"5/15 * * * *":    `minute "5/15": a step needs a range: use 5-59/15`,
		"*/0 * * * *":     `minute "*/0": "0" is no step: use a number from 1 to 60`,
		"*/90 * * * *":    `minute "*/90": "90" is no step: use a number from 1 to 60`,
		"*/ * * * *":      `"" is no step`,
		"*/5/5 * * * *":   `"5/5" is no step`,
		"** * * * *":      `minute "**"`,
		"*-5 * * * *":     `minute "*-5": "*" is none`,
		"0 0 31 2 *":      `there is never such a day`,
		"0 0 30,31 FEB *": `there is never such a day`,
		"0 0 31 4,6,9 *":  `there is never such a day`,
		"0 0 31 6 */2":    `there is never such a day`,
	} {
		s, err := Parse(expr, time.UTC)
		if err == nil {
			t.Errorf("%q was taken; due at %s", expr, s.Next(time.Now()))
			continue
		}
		if got := err.Error(); !strings.HasPrefix(got, "schedule \"") || !strings.Contains(got, want) {
			t.Errorf("%q: %v; wanted: %s", expr, err, want)
		}
	}
	// The day of the week alone is enough there.
	mustParse(t, "0 0 31 2 MON", "UTC")
}
