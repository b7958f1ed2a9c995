package agent

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// lastFailed begins the problem of an agent whose last run failed.
const lastFailed = "the last backup failed: "

// view is a status in the words of the page.
type view struct {
	Status
	Style    template.CSS
	Tone     string // how it is, as a class: good, bad, busy or calm
	Color    string // of the icon, without its "#"
	Headline string
	Line     string // below the headline
	Facts    []fact
	Stages   []step // of the run at hand
	Percent  int    // of the newest backup's size that the run at hand has dumped; 0: not known
	Chart    *chart
	Rows     []row
	Details  []fact

	zone *time.Location
	now  time.Time
}

// fact is a figure with its name.
type fact struct{ Name, Value, Note string }

// step is a stage of the run at hand.
type step struct {
	Name string
	Mark string // done, now, or empty
}

// row is a run in the table.
type row struct {
	Run
	At, Took, Plain, Stored string
	Mark                    string // good, bad, or calm for a run that left the backup to another
	Verdict                 string
}

func newView(s Status, now time.Time, style template.CSS) *view {
	v := &view{Status: s, Style: style, zone: zoneOf(s), now: now}
	v.Problem = strings.TrimSpace(strings.TrimPrefix(s.Problem, lastFailed)) // the headline says that
	v.Tone, v.Color = tone(s)
	v.Headline, v.Line = v.headline()
	if s.State == StateStarting || strings.EqualFold(v.Problem, v.Headline) {
		v.Problem = "" // the headline says it too
	}
	v.Facts = v.facts()
	for _, r := range s.Runs {
		v.Rows = append(v.Rows, v.row(r))
	}
	if len(v.Rows) > 0 && v.Rows[0].Error == v.Problem {
		v.Rows[0].Error = "" // it is told above
	}
	v.Chart = v.chart()
	if s.Running != nil {
		v.run(s.Running)
	}
	v.Details = v.details()
	return v
}

// zoneOf is the zone in which the schedule is meant, which is the one that a
// person has in mind.
func zoneOf(s Status) *time.Location {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "" {
		return time.Local
	}
	return zone
}

func tone(s Status) (class, color string) {
	switch {
	case s.State == StateStarting, s.State == StateStopping:
		return "calm", "8a8f98"
	case s.Running != nil:
		return "busy", "3b74d6"
	case !s.Healthy:
		return "bad", "d0433a"
	}
	return "good", "2f9461"
}

func (v *view) headline() (title, line string) {
	next := ""
	if v.Next != nil {
		next = "Next backup " + v.soon(*v.Next) + "."
	}
	switch {
	case v.State == StateStopping:
		return "Stopping", "No backup will be made until the service starts again."
	case v.State == StateStarting:
		return "Starting", "Reading the backups in " + v.Storage + "."
	case v.State == StateDraining:
		return "Finishing, then stopping", "The run at hand is finished before the service stops."
	case v.Running != nil:
		return "Backing up", v.pace(v.Running)
	case v.State == StateRetrying && v.Next != nil && v.asks():
		return v.trouble(), "Asking again " + v.soon(*v.Next) + "."
	case v.State == StateRetrying && v.Next != nil:
		return v.trouble(), "Trying again " + v.soon(*v.Next) + "."
	case !v.Healthy:
		return v.trouble(), next
	}
	if v.Newest != nil && v.Newest.Unproved {
		return "All is well", "The service lists the newest backup, and keeps nothing that proves its origin."
	}
	if v.Service {
		return "All is well", "The newest backup is proved, and the service says that none is due."
	}
	return "All is well", "The newest backup is proved, and no older than the schedule wants."
}

// trouble names in a few words what the problem tells at length.
func (v *view) trouble() string {
	switch {
	case v.State == StateRetrying && v.asks():
		return "The service does not say what is due"
	case len(v.Runs) > 0 && v.Runs[0].Partial:
		return "The last backup is not in every place"
	case len(v.Runs) > 0 && v.Runs[0].Error != "":
		return "The last backup failed"
	case v.State == StateRetrying:
		return "The backups cannot be read"
	case v.Newest == nil:
		return "There is no backup yet"
	}
	return "A backup is overdue"
}

func (v *view) pace(r *Running) string {
	text := "For " + span(v.now.Sub(r.Started))
	if r.PlainBytes > 0 {
		text += fmt.Sprintf(": %s of dump at %s/s, %s stored", size(r.PlainBytes), size(r.BytesPerSecond), size(r.StoredBytes))
	}
	return text + "."
}

// run describes the run at hand.
func (v *view) run(r *Running) {
	at := slices.Index(stages, r.Stage)
	for i, stage := range stages {
		s := step{Name: stage}
		switch {
		case i < at:
			s.Mark = "done"
		case i == at:
			s.Mark = "now"
		}
		v.Stages = append(v.Stages, s)
	}
	if v.Newest != nil && v.Newest.PlainBytes > 0 {
		// The database may have grown: nothing is complete before it is.
		v.Percent = int(min(99, 100*r.PlainBytes/v.Newest.PlainBytes))
	}
}
