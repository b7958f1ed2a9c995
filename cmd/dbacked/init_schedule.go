package main

import (
	"context"
	"time"

	"github.com/dbacked/dbacked/pkg/scheduler"
)

// schedule settles when backups are made. With a service, its project says so.
func (w *wizard) schedule(ctx context.Context) error {
	d := w.draft
	if d.isService() {
		return nil
	}
	next := func(context.Context) error {
		zone := time.Local
		if name := d.values["DBACKED_TIMEZONE"]; name != "" {
			var err error
			if zone, err = time.LoadLocation(name); err != nil {
				return err
			}
		}
		s, err := scheduler.Parse(d.values["DBACKED_SCHEDULE"], zone)
		if err != nil {
			return err
		}
		w.good("after the first, which is made at once, the next is due %s", s.Next(time.Now()).In(zone).Format("Mon 2006-01-02 15:04 MST"))
		return nil
	}
	return w.group(ctx, next, question{
		variable: "DBACKED_SCHEDULE", text: `When to back up: @hourly, @daily, @weekly, or as cron, "30 2 * * *"`,
		fallback: func() string { return "@daily" },
	})
}
