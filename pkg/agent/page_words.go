package agent

import (
	"fmt"
	"time"
)

// at is a moment, as short as it is clear.
func (v *view) at(t time.Time) string {
	layout := "Mon 2 Jan, 15:04"
	if t.In(v.zone).Year() != v.now.In(v.zone).Year() {
		layout = "2 Jan 2006, 15:04"
	}
	return t.In(v.zone).Format(layout)
}

func (v *view) soon(t time.Time) string {
	if !t.After(v.now) {
		return "now"
	}
	return "in " + in(t.Sub(v.now))
}

func (v *view) ago(t time.Time) string {
	if d := v.now.Sub(t); d >= time.Second {
		return in(d) + " ago"
	}
	return "now"
}

// span is how long something took, "2 min 4 s", in one piece.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d == 0:
		return "0\u00a0s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u00a0s", d.Seconds())
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%.0f\u00a0s", d.Seconds())
	case d < time.Hour-time.Second/2:
		return units(d.Round(time.Second), time.Minute, "min", time.Second, "s")
	}
	return units(d.Round(time.Minute), time.Hour, "h", time.Minute, "min")
}

func units(d, unit time.Duration, name string, part time.Duration, partName string) string {
	text := fmt.Sprintf("%d\u00a0%s", d/unit, name)
	if rest := d % unit / part; rest > 0 {
		text += fmt.Sprintf("\u00a0%d\u00a0%s", rest, partName)
	}
	return text
}
