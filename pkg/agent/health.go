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
	case s.failure != "" && s.partial:
		return "the last backup is partial: " + s.failure
	case s.failure != "":
		return "the last backup failed: " + s.failure
	case s.away != "":
		return s.away
	case s.alert != "":
		return "the newest backup is good, but the older ones were not thinned out: " + s.alert
	case !s.known:
		return "the backups in " + o.Storage + " have not been read yet"
	}
	if _, ok := s.newest(now); !ok {
		return "there is no backup yet"
	}
	if away := s.placesAway(); away != "" {
		return away
	}
	newest, place := s.furthest(now)
	in := ""
	if place != "" {
		in = " in " + place
	}
	due := o.overdueSince(now)
	if due.IsZero() || !newest.Before(due) || s.running != nil {
		return ""
	}
	if newest.IsZero() {
		return "there is no backup" + in + " yet"
	}
	return fmt.Sprintf("the newest backup%s is of %s, and one was due at %s", in, newest.Local().Format(time.DateTime), due.Local().Format(time.DateTime))
}
