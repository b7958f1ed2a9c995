package main

import (
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/server/admin"
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

// retention is what is given.
func (k keepFlags) retention() (r admin.Retention, err error) {
	r = admin.Retention{Last: k.KeepLast, Daily: k.KeepDaily, Weekly: k.KeepWeekly, Monthly: k.KeepMonthly, Yearly: k.KeepYearly}
	for _, d := range []struct {
		flag string
		to   **time.Duration
		from *string
	}{{"keep-for", &r.For, k.KeepFor}, {"keep-minimum", &r.Minimum, k.KeepMinimum}, {"grace", &r.Grace, k.Grace}} {
		if d.from == nil {
			continue
		}
		length, err := config.ParseDuration(*d.from)
		if err != nil {
			return r, fmt.Errorf("--%s: %q is not a duration: write 48h, 30d or 8w", d.flag, *d.from)
		}
		*d.to = &length
	}
	return r, nil
}
