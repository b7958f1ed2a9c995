package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/dbacked/dbacked/pkg/retention"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// Retention is what is to change of which backups a project keeps; nil stays as it is.
type Retention struct {
	Last, Daily, Weekly, Monthly, Yearly *int
	For, Minimum, Grace                  *time.Duration
}

func (r Retention) apply(p *records.Project) error {
	for _, n := range []struct{ to, from *int }{
		{&p.Keep.KeepLast, r.Last},
		{&p.Keep.Daily, r.Daily},
		{&p.Keep.Weekly, r.Weekly},
		{&p.Keep.Monthly, r.Monthly},
		{&p.Keep.Yearly, r.Yearly},
	} {
		set(n.to, n.from)
	}
	set(&p.Keep.For, r.For)
	set(&p.Keep.Minimum, r.Minimum)
	set(&p.Grace, r.Grace)
	if r.Grace != nil && p.Grace < records.LeastGrace {
		return invalidf("grace", "the grace is at least %s: to delete a backup now is without any", retention.Long(records.LeastGrace))
	}
	return nil
}

// Kept is which backups a project keeps. A rule that is missing there is none.
type Kept struct {
	Last    int    `json:"keepLast,omitempty" doc:"The newest so many."`
	Daily   int    `json:"keepDaily,omitempty" doc:"The newest of each of the last so many days that have one."`
	Weekly  int    `json:"keepWeekly,omitempty"`
	Monthly int    `json:"keepMonthly,omitempty"`
	Yearly  int    `json:"keepYearly,omitempty"`
	For     string `json:"keepFor,omitempty" example:"30d" doc:"Those that are at most so much older than the newest."`
	Minimum string `json:"keepMinimum" example:"1d" doc:"None goes that is not yet so much older than the newest."`
	Grace   string `json:"grace" example:"7d" doc:"How long what was deleted can be undeleted."`
}

// ShowKept shows what a project keeps.
func ShowKept(p records.Project) Kept {
	s := Kept{
		Last: p.Keep.KeepLast, Daily: p.Keep.Daily, Weekly: p.Keep.Weekly, Monthly: p.Keep.Monthly, Yearly: p.Keep.Yearly,
		Minimum: retention.Long(p.Keep.Minimum), Grace: retention.Long(p.Grace),
	}
	if p.Keep.For > 0 {
		s.For = retention.Long(p.Keep.For)
	}
	return s
}

// String is the rules in a few words.
func (k Kept) String() string {
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
