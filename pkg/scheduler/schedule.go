// Package scheduler says when a backup is due, and calls for one when it is.
//
// # Schedules
//
// A [Schedule] is a cron expression of five fields, in a time zone:
//
//	minute       0-59
//	hour         0-23
//	day of month 1-31
//	month        1-12, or JAN-DEC
//	day of week  0-7, or SUN-SAT; 0 and 7 are Sunday
//
// A field is *, a number, a range (1-5), either of the two with a step (*/15,
// 8-18/2; a step needs * or a range), or a list of those (1,15,20-25). There
// are also @hourly, @daily, @midnight, @weekly, @monthly, @yearly and
// @annually. When both day fields are restricted either counts, as in cron:
// "0 4 1 * MON" is the first of the month, and every Monday. A field that
// begins with * is not restricted.
//
// # Daylight saving
//
// A time that the clock skips that day runs once, just after the gap; several
// of them run as one. A time that the clock shows twice runs once, the first
// time. So there is a daily run on every day, even where midnight is missing.
//
// That would be wrong for what is to run every so often. Schedules whose hour
// begins with * (or has all 24) follow elapsed time: both passes of an hour
// that comes twice count, and what falls into a gap is counted on with the
// clock of before, so that "*/15 * * * *" simply goes on.
//
// # The loop
//
// A [Loop] has no memory of its own: what is due follows from the start of the
// newest backup. See there.
package scheduler

import (
	"time"
	_ "time/tzdata" // zones are known by name even on a machine without them
)

const (
	// farthest is how many years Next looks ahead: 29 February falls on a given
	// weekday at least every 40 years.
	farthest = 50
	// longest is how far back Latest looks.
	longest = 5 * 366 * 24 * time.Hour
)

// Schedule is when something is due. Its methods may be called from several
// goroutines.
type Schedule struct {
	text                              string
	zone                              *time.Location
	minute, hour, day, month, weekday set
	eitherDay                         bool // both day fields are restricted: one is enough
	elapsed                           bool // follows elapsed time, not the clock on the wall
}

// String returns the expression, as it was given.
func (s *Schedule) String() string { return s.text }

// Next returns the first due time strictly after a time, in the schedule's
// zone; the zero time if there is none within 50 years.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.Round(0).UTC()
	if s.elapsed {
		return s.nextElapsed(after)
	}
	// The clock may go back, but what it has shown once is over.
	shown := s.shown(after)
	reading := s.reading(shown, shown.AddDate(farthest, 0, 0))
	if reading.IsZero() {
		return time.Time{}
	}
	return s.first(reading).In(s.zone)
}

// nextElapsed goes through the spans of time between two changes of the clock.
func (s *Schedule) nextElapsed(after time.Time) time.Time {
	limit := after.AddDate(farthest, 0, 0)
	for span := s.span(after); ; span = s.span(span.end) {
		end := span.end
		if end.IsZero() || end.After(limit) {
			end = limit
		}
		from := later(after, span.start.Add(-1))
		due := s.within(from, end, span.offset)
		if skipped := span.start.Add(span.offset - span.before); span.offset > span.before && skipped.After(from) {
			due = earlier(due, s.within(from, earlier(end, skipped), span.before))
		}
		if !due.IsZero() {
			return due.In(s.zone)
		}
		if end.Equal(limit) {
			return time.Time{}
		}
	}
}

// within returns the first time between two (both not included) at which a
// clock of that offset shows a matching time, or zero.
func (s *Schedule) within(after, before time.Time, offset time.Duration) time.Time {
	reading := s.reading(after.Add(offset), before.Add(offset))
	if reading.IsZero() {
		return reading
	}
	return reading.Add(-offset)
}

// Latest returns the last due time at or before a time, in the schedule's zone;
// the zero time if there is none within 5 years.
func (s *Schedule) Latest(at time.Time) time.Time {
	at = at.Round(0).UTC()
	is := func(t time.Time) bool { return !t.IsZero() && !t.After(at) }
	var due time.Time
	for back := time.Hour; !is(due); back *= 2 {
		if due = s.Next(at.Add(-min(back, longest))); back >= longest && !is(due) {
			return time.Time{}
		}
	}
	// What lies between due and at is halved until there is no room for another.
	for at.Sub(due) >= time.Second {
		middle := due.Add(at.Sub(due) / 2)
		if next := s.Next(middle); is(next) {
			due = next
		} else {
			at = middle
		}
	}
	return due
}

// reading returns the first matching reading of a clock between two (both not
// included), or zero. Readings are times in UTC, whatever the zone.
func (s *Schedule) reading(after, before time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute)
	for t.Before(before) {
		year, month, day := t.Date()
		switch {
		case !s.month.has(int(month)):
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.onDay(day, t.Weekday()):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !s.hour.has(t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !s.minute.has(t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

func (s *Schedule) onDay(day int, weekday time.Weekday) bool {
	if s.eitherDay {
		return s.day.has(day) || s.weekday.has(int(weekday))
	}
	return s.day.has(day) && s.weekday.has(int(weekday))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier one, or the one that is not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
