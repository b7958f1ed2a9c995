package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/dbacked/dbacked/pkg/agent"
)

// statusTable shows instances, one a line, and below them what is wrong.
func statusTable(s *screen, all []seen, now time.Time) string {
	rows := [][]string{{"NAME", "STATE", "NEXT", "LAST", "SIZE"}}
	for _, one := range all {
		rows = append(rows, []string{one.Instance, one.State, one.next(now), one.last(now), one.size()})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell) // the words are the agent's
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var text strings.Builder
	for r, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			padded := cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if i == 1 && r > 0 {
				padded = s.paint(stateColor(all[r-1]), cell) + padded[len(cell):]
			}
			line.WriteString(padded)
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	for _, one := range all {
		if !one.Healthy {
			text.WriteString("\n" + problemText(one))
		}
	}
	return text.String()
}

func problemText(one seen) string {
	text := one.Instance + ": "
	for i, line := range strings.Split(strings.TrimSpace(one.Problem), "\n") {
		if i > 0 {
			text += "  "
		}
		text += printable(line) + "\n"
	}
	return text
}

func stateColor(one seen) string {
	switch {
	case one.Healthy:
		return green
	case one.State == agent.StateStarting, one.State == agent.StateStopping:
		return yellow
	}
	return red
}

// next is when the next run is planned, or what the one at hand does.
func (s seen) next(now time.Time) string {
	switch r := s.Running; {
	case r != nil && r.PlainBytes > 0:
		return fmt.Sprintf("now: %s, %s, %s/s", r.Stage, size(r.PlainBytes), size(r.BytesPerSecond))
	case r != nil:
		return "now: " + r.Stage
	case s.Next == nil:
		return "–"
	case !s.Next.After(now):
		return "now"
	}
	return "in " + strings.TrimSpace(humanize.RelTime(now, *s.Next, "", ""))
}

// last is the age of the newest backup.
func (s seen) last(now time.Time) string {
	if s.Newest == nil {
		return "–"
	}
	return humanize.RelTime(s.Newest.Started, now, "ago", "from now")
}

func (s seen) size() string {
	if s.Newest == nil {
		return "–"
	}
	if s.Newest.Unproved {
		return size(s.Newest.StoredBytes) + " stored, origin not proved"
	}
	return size(s.Newest.PlainBytes) + ", " + size(s.Newest.StoredBytes) + " stored"
}
