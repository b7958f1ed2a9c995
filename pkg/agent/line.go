package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Line is a status in one line, as systemctl status shows it.
func Line(s Status, now time.Time) string {
	switch {
	case s.State == StateStopping:
		return "stopping"
	case s.Running != nil:
		return doing(s) + last(s)
	case s.State == StateDraining:
		return "stopping"
	case s.State == StateStarting:
		return "reading the backups in " + s.Storage
	case s.State == StateRetrying && s.Next != nil && s.asks():
		return fmt.Sprintf("asking again %s: %s", when(*s.Next, now), oneLine(s.Problem))
	case s.State == StateRetrying && s.Next != nil:
		return fmt.Sprintf("trying again %s: %s", when(*s.Next, now), oneLine(s.Problem))
	case s.Next != nil && s.asks():
		return "idle, asking " + s.Storage + " whether a backup is due" + last(s)
	case s.Next != nil:
		return "idle, next backup " + when(*s.Next, now) + last(s)
	}
	return "idle" + last(s)
}

func doing(s Status) string {
	r := s.Running
	text := map[string]string{"dump": "dumping", "commit": "writing the manifest", "lock": "taking the lock"}[r.Stage]
	if text == "" {
		text = "preparing a backup"
	}
	if r.PlainBytes > 0 {
		text += fmt.Sprintf(" %s, %s/s", size(r.PlainBytes), size(r.BytesPerSecond))
	}
	if s.State == StateDraining {
		text += ", then stopping"
	}
	return text
}

// last says how the newest run went.
func last(s Status) string {
	if len(s.Runs) == 0 {
		return ""
	}
	r := s.Runs[0]
	at := r.Started.Local().Format("15:04")
	if r.Partial {
		return fmt.Sprintf("; last %s, %s, partial: %s", at, size(r.PlainBytes), oneLine(r.Error))
	}
	if r.Error != "" {
		return fmt.Sprintf("; last %s, failed: %s", at, oneLine(r.Error))
	}
	if r.PlainBytes == 0 { // a service told of it, which does not know
		return fmt.Sprintf("; last %s, %s stored, ok", at, size(r.StoredBytes))
	}
	return fmt.Sprintf("; last %s, %s, ok", at, size(r.PlainBytes))
}

// when is a time to come: "Mon 02:00 (in 3 hours)".
func when(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	local := t.Local()
	layout := "Mon 15:04"
	if t.Sub(now) > 6*24*time.Hour {
		layout = "2 Jan 15:04"
	}
	return fmt.Sprintf("%s (in %s)", local.Format(layout), in(t.Sub(now)))
}

// in is a duration in one unit, rounded: "3 h".
func in(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()+0.5))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24+0.5))
}

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// oneLine keeps a tool's message within its line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
