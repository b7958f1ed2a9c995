package retention

import (
	"fmt"
	"strings"
	"time"
)

// Judge applies a policy to backups, the newest first.
type Judge struct {
	policy Policy
	newest time.Time // from which ages are measured
	seen   int       // backups that were judged
	rules  []*calendar
}

// calendar is the rule of one kind of period. Where clocks are set back at
// midnight, a day can come twice, so it remembers more than the last one.
type calendar struct {
	rule, period string // "daily", "day"
	keep         int
	name         func(time.Time) string // of the period that holds a time
	seen         map[string]bool
}

// NewJudge applies p to backups of which the newest is of that time.
func NewJudge(newest time.Time, p Policy) *Judge {
	if p.Zone == nil {
		p.Zone = time.UTC
	}
	j := &Judge{policy: p, newest: newest}
	for _, c := range []calendar{
		{rule: "daily", period: "day", keep: p.Daily, name: func(t time.Time) string { return t.Format(time.DateOnly) }},
		{rule: "weekly", period: "week", keep: p.Weekly, name: func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprintf("%04d-W%02d", year, week)
		}},
		{rule: "monthly", period: "month", keep: p.Monthly, name: func(t time.Time) string { return t.Format("2006-01") }},
		{rule: "yearly", period: "year", keep: p.Yearly, name: func(t time.Time) string { return t.Format("2006") }},
	} {
		if c.keep > 0 {
			c.seen = map[string]bool{}
			j.rules = append(j.rules, &c)
		}
	}
	return j
}

// verdict gathers what the rules say of one backup.
type verdict struct {
	rules, keep    []string
	beyond, topped []string // why no rule keeps it: too old, or there is a newer one of its period
}

func (v *verdict) keeps(rule, why string) {
	v.rules, v.keep = append(v.rules, rule), append(v.keep, why)
}

// removal is why no rule keeps it.
func (v *verdict) removal() string {
	var parts []string
	if len(v.beyond) > 0 {
		parts = append(parts, "beyond the last "+strings.Join(v.beyond, ", "))
	}
	if len(v.topped) > 0 {
		parts = append(parts, "not the newest of its "+strings.Join(v.topped, ", "))
	}
	return strings.Join(parts, "; ")
}

// Decide judges the next backup: whether it is kept, by which rules ("newest",
// "minimum", "last", "daily", "weekly", "monthly", "yearly", "for"), and why, in words.
func (j *Judge) Decide(date time.Time) (keep bool, rules []string, reason string) {
	j.seen++
	var v verdict
	if j.seen == 1 {
		v.keeps("newest", "the newest good one")
	}
	age := j.newest.Sub(date)
	if age < j.policy.Minimum {
		v.keeps("minimum", "younger than the minimum of "+Long(j.policy.Minimum))
	}
	if n := j.policy.KeepLast; n > 0 && j.seen <= n {
		v.keeps("last", fmt.Sprintf("%d of the last %d", j.seen, n))
	} else if n > 0 {
		v.beyond = append(v.beyond, plural(n, "backup"))
	}
	for _, c := range j.rules {
		c.decide(date.In(j.policy.Zone), &v)
	}
	if d := j.policy.For; d > 0 && age <= d {
		v.keeps("for", "within "+Long(d))
	} else if d > 0 {
		v.beyond = append(v.beyond, Long(d))
	}
	switch {
	case len(v.rules) > 0:
		return true, v.rules, strings.Join(v.keep, ", ")
	case !j.policy.HasRule():
		return true, nil, "no rule says what to keep"
	}
	return false, nil, v.removal()
}

func (c *calendar) decide(local time.Time, v *verdict) {
	name := c.name(local)
	if c.seen[name] {
		v.topped = append(v.topped, c.period)
		return
	}
	c.seen[name] = true
	if n := len(c.seen); n <= c.keep {
		v.keeps(c.rule, fmt.Sprintf("newest of %s (%s %d of %d)", name, c.period, n, c.keep))
		return
	}
	v.beyond = append(v.beyond, plural(c.keep, c.period))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Long is a duration in days, and what is left.
func Long(d time.Duration) string {
	const day = 24 * time.Hour
	days := d / day
	rest := (d % day).String()
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	switch {
	case days == 0:
		return rest
	case d%day == 0:
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%s", days, rest)
}
