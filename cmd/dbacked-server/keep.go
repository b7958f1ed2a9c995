package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/retention"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// keepFlags say which backups of a project are kept. What is not given stays as it is.
type keepFlags struct {
	KeepLast    *int    `name:"keep-last" placeholder:"N" help:"Keep the newest N backups. Without any of these rules, all are kept; 0 ends a rule."`
	KeepDaily   *int    `name:"keep-daily" placeholder:"N" help:"Keep the newest backup of each of the last N days that have one, in the project's time zone."`
	KeepWeekly  *int    `name:"keep-weekly" placeholder:"N" help:"Keep the newest backup of each of the last N weeks that have one; a week begins on Monday."`
	KeepMonthly *int    `name:"keep-monthly" placeholder:"N" help:"Keep the newest backup of each of the last N months that have one."`
	KeepYearly  *int    `name:"keep-yearly" placeholder:"N" help:"Keep the newest backup of each of the last N years that have one."`
	KeepFor     *string `name:"keep-for" placeholder:"DURATION" help:"Keep every backup that is at most so much older than the newest, for example 48h, 30d or 8w."`
	KeepMinimum *string `name:"keep-minimum" placeholder:"DURATION" help:"Never delete a backup that is not yet so much older than the newest, whatever the others say: 1d."`
	Grace       *string `name:"grace" placeholder:"DURATION" help:"How long what was deleted can be undeleted, before its files are removed: 7d, and at least 1h."`
}

// apply changes what is given.
func (k keepFlags) apply(p *records.Project) error {
	for _, n := range []struct{ to, from *int }{
		{&p.Keep.KeepLast, k.KeepLast},
		{&p.Keep.Daily, k.KeepDaily},
		{&p.Keep.Weekly, k.KeepWeekly},
		{&p.Keep.Monthly, k.KeepMonthly},
		{&p.Keep.Yearly, k.KeepYearly},
	} {
		if n.from != nil {
			*n.to = *n.from
		}
	}
	for _, d := range []struct {
		flag string
		to   *time.Duration
		from *string
	}{{"keep-for", &p.Keep.For, k.KeepFor}, {"keep-minimum", &p.Keep.Minimum, k.KeepMinimum}, {"grace", &p.Grace, k.Grace}} {
		if d.from == nil {
			continue
		}
		length, err := config.ParseDuration(*d.from)
		if err != nil {
			return fmt.Errorf("--%s: %q is not a duration: write 48h, 30d or 8w", d.flag, *d.from)
		}
		*d.to = length
	}
	if p.Grace < records.LeastGrace && k.Grace != nil {
		return fmt.Errorf("--grace is at least %s: backup delete --now is without any", retention.Long(records.LeastGrace))
	}
	return nil
}

// kept is what is printed of a project's rules. A rule that is missing there is none.
type kept struct {
	Last    int    `json:"keepLast,omitempty"`
	Daily   int    `json:"keepDaily,omitempty"`
	Weekly  int    `json:"keepWeekly,omitempty"`
	Monthly int    `json:"keepMonthly,omitempty"`
	Yearly  int    `json:"keepYearly,omitempty"`
	For     string `json:"keepFor,omitempty"`
	Minimum string `json:"keepMinimum"`
	Grace   string `json:"grace"`
}

func shownKept(p records.Project) kept {
	s := kept{
		Last: p.Keep.KeepLast, Daily: p.Keep.Daily, Weekly: p.Keep.Weekly, Monthly: p.Keep.Monthly, Yearly: p.Keep.Yearly,
		Minimum: retention.Long(p.Keep.Minimum), Grace: retention.Long(p.Grace),
	}
	if p.Keep.For > 0 {
		s.For = retention.Long(p.Keep.For)
	}
	return s
}

// words are the rules in a few words.
func (k kept) words() string {
	var all []string
	for _, rule := range []struct {
		name string
		n    int
	}{{"last", k.Last}, {"daily", k.Daily}, {"weekly", k.Weekly}, {"monthly", k.Monthly}, {"yearly", k.Yearly}} {
		if rule.n > 0 {
			all = append(all, fmt.Sprintf("%s %d", rule.name, rule.n))
		}
	}
	if k.For != "" {
		all = append(all, "for "+k.For)
	}
	if len(all) == 0 {
		return "all"
	}
	return strings.Join(all, ", ")
}
