package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
	// defaultMinimum leaves time to notice that new backups are bad before the old ones go.
	defaultMinimum = day
	// maxKeep is more backups than anybody keeps by one rule.
	maxKeep = 1_000_000
)

// resolveRetention reads which backups are kept. Days and weeks are those of the schedule's time zone.
func (l *loader) resolveRetention() {
	r, before := &l.config.Retention, len(l.problems)
	r.Last = l.keepCount(varKeepLast)
	r.Daily = l.keepCount(varKeepDaily)
	r.Weekly = l.keepCount(varKeepWeekly)
	r.Monthly = l.keepCount(varKeepMonthly)
	r.Yearly = l.keepCount(varKeepYearly)
	r.For = l.keepDuration(varKeepFor, 0)
	r.Minimum = l.keepDuration(varKeepMinimum, defaultMinimum)
	if r.Zone = l.config.Agent.Zone; r.Zone == nil {
		r.Zone = l.zone()
	}
	_, alone := l.layers.get(varKeepMinimum)
	switch {
	case r.HasRule() || len(l.problems) > before:
	case l.needs(NeedRetention) && !l.config.Storage.IsService():
		l.problem("nothing says which backups to keep, so nothing is removed: set one or several of %s, %s, %s, %s, %s and %s, for example %s=7",
			varKeepLast, varKeepDaily, varKeepWeekly, varKeepMonthly, varKeepYearly, varKeepFor, varKeepDaily)
		l.missing = true
	case alone:
		l.warn("%s has no effect alone: nothing is removed unless a setting such as %s says what to keep", l.setting(varKeepMinimum), varKeepDaily)
	}
}

func (l *loader) keepCount(variable string) int {
	g, ok := l.get(variable)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(g.text())
	if err != nil || n < 0 || n > maxKeep {
		l.wrong(variable, g, "%q is not a number of backups: write 7, or 0 for no such rule", g.text())
		return 0
	}
	return n
}

func (l *loader) keepDuration(variable string, fallback time.Duration) time.Duration {
	g, ok := l.get(variable)
	if !ok {
		return fallback
	}
	d, err := ParseDuration(g.text())
	if err != nil {
		l.wrong(variable, g, "%q is not a duration: write 48h, 30d or 8w", g.text())
	}
	return d
}

// ParseDuration is that of package time, and also knows weeks and days, of 24 hours, before the rest: "1w2d12h". It
// takes none below zero.
func ParseDuration(text string) (time.Duration, error) {
	parts := regexp.MustCompile(`^(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?(.*)$`).FindStringSubmatch(text)
	if parts == nil {
		return 0, errors.New("it holds a line break")
	}
	var sum time.Duration
	for i, unit := range []time.Duration{week, day} {
		n, _ := strconv.ParseInt("0"+parts[i+1], 10, 64) // the pattern bounds it
		if n > int64((math.MaxInt64-sum)/unit) {
			return 0, errors.New("it is longer than 290 years")
		}
		sum += time.Duration(n) * unit
	}
	if rest := parts[3]; rest != "" || text == "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || d > math.MaxInt64-sum {
			return 0, fmt.Errorf("%q is none", rest)
		}
		sum += d
	}
	return sum, nil
}
