package agent

import (
	"fmt"
	"time"
)

// overdueGrace is how late a backup may begin.
const overdueGrace = 15 * time.Minute

// problem says why the newest proved backup is not what it should be; empty
// when all is well.
func (s *state) problem(o *Options, now time.Time) string {
	switch {
	case s.failure != "":
		return "the last backup failed: " + s.failure
	case s.away != "":
		return s.away
	case s.alert != "":
		return "the newest backup is good, but the older ones were not thinned out: " + s.alert
	case !s.known:
		return "the backups in " + o.Storage + " have not been read yet"
	}
	backup, ok := s.newest(now)
	if !ok {
		return "there is no backup yet"
	}
	newest := backup.Started
	due := o.Schedule.Latest(now.Add(-o.RandomDelay - overdueGrace))
	if due.IsZero() || !newest.Before(due) || s.running != nil {
		return ""
	}
	return fmt.Sprintf("the newest backup is of %s, and one was due at %s", newest.Local().Format(time.DateTime), due.Local().Format(time.DateTime))
}
