package scheduler

import "time"

// changes is longer than any change of a clock was: zones have skipped, and
// repeated, a whole day.
const changes = 48 * time.Hour

// span is the time between two changes of a zone's clock.
type span struct {
	start, end time.Time     // zero: since or for ever
	offset     time.Duration // from UTC
	before     time.Duration // the offset before start
}

// span returns the one that a time is in.
func (s *Schedule) span(t time.Time) span {
	local := t.In(s.zone)
	start, end := local.ZoneBounds()
	out := span{start: start.UTC(), end: end.UTC(), offset: offset(local)}
	out.before = out.offset
	if !start.IsZero() {
		out.before = offset(start.Add(-1).In(s.zone))
	}
	return out
}

func offset(local time.Time) time.Duration {
	_, seconds := local.Zone()
	return time.Duration(seconds) * time.Second
}

// shown returns the highest reading that the clock has shown until a time. It
// is more than what it shows now when the clock was put back since.
func (s *Schedule) shown(at time.Time) time.Time {
	span := s.span(at)
	highest := at.Add(span.offset)
	for !span.start.IsZero() && at.Sub(span.start) < changes {
		highest = later(highest, span.start.Add(span.before-1)) // just before the change
		span = s.span(span.start.Add(-1))
	}
	return highest
}

// first returns when the clock shows a reading, or a higher one, for the first
// time: just after the gap if it skips that reading.
func (s *Schedule) first(reading time.Time) time.Time {
	for span := s.span(reading.Add(-changes)); ; span = s.span(span.end) {
		t := later(reading.Add(-span.offset), span.start)
		if span.end.IsZero() || t.Before(span.end) {
			return t
		}
	}
}
