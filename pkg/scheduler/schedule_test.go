package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, expr, zone string) *Schedule {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(expr, location)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nexts is what is due after a time, n times.
func nexts(s *Schedule, after time.Time, n int) []string {
	var out []string
	for range n {
		after = s.Next(after)
		out = append(out, after.Format("2006-01-02T15:04:05Z07:00"))
	}
	return out
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		zone, expr, after string
		want              string
	}{
		// Paris skips 02:00 to 03:00 on 29 March 2026, and repeats it on 25 October.
		{"Europe/Paris", "30 2 * * *", "2026-03-28T00:00:00+01:00", "2026-03-28T02:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"Europe/Paris", "30 2 * * *", "2026-10-24T00:00:00+02:00", "2026-10-24T02:30:00+02:00 2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"Europe/Paris", "0 2 * * *", "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"Europe/Paris", "0 2 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00 2026-10-26T02:00:00+01:00"},
		{"Europe/Paris", "0 3 * * *", "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-30T03:00:00+02:00"},
		{"Europe/Paris", "0 3 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T03:00:00+01:00 2026-10-26T03:00:00+01:00"},
		{"Europe/Paris", "0,30 2,3 * * *", "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-29T03:30:00+02:00 2026-03-30T02:00:00+02:00"},
		{"Europe/Paris", "0,30 2,3 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00 2026-10-25T02:30:00+02:00 2026-10-25T03:00:00+01:00"},
		{"Europe/Paris", "*/15 2 * * *", "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"Europe/Paris", "*/15 2 * * *", "2026-10-25T02:20:00+02:00", "2026-10-25T02:30:00+02:00 2026-10-25T02:45:00+02:00 2026-10-26T02:00:00+01:00"},
		{"Europe/Paris", "45 2 * * *", "2026-10-25T02:10:00+01:00", "2026-10-26T02:45:00+01:00"}, // asked in the second pass
		{"Europe/Paris", "30 2 * * SUN", "2026-03-23T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-04-05T02:30:00+02:00"},
		{"Europe/Paris", "30 2 29 3 *", "2026-03-23T00:00:00+01:00", "2026-03-29T03:00:00+02:00 2027-03-29T02:30:00+02:00"},
		{"Europe/Paris", "*/15 * * * *", "2026-03-29T01:30:00+01:00", "2026-03-29T01:45:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T03:15:00+02:00"},
		{"Europe/Paris", "*/15 * * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T02:15:00+01:00"},
		{"Europe/Paris", "*/15 * * * *", "2026-10-25T02:30:00+01:00", "2026-10-25T02:45:00+01:00 2026-10-25T03:00:00+01:00"},
		{"Europe/Paris", "*/20 0-23 * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:40:00+02:00 2026-10-25T02:00:00+01:00"},
		{"Europe/Paris", "7 * * * *", "2026-03-29T01:00:00+01:00", "2026-03-29T01:07:00+01:00 2026-03-29T03:07:00+02:00 2026-03-29T04:07:00+02:00"},
		{"Europe/Paris", "7 * * * *", "2026-10-25T02:00:00+02:00", "2026-10-25T02:07:00+02:00 2026-10-25T02:07:00+01:00 2026-10-25T03:07:00+01:00"},
		{"Europe/Paris", "0 */2 * * *", "2026-03-28T23:00:00+01:00", "2026-03-29T00:00:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T04:00:00+02:00"},
		{"Europe/Paris", "0 */2 * * *", "2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T04:00:00+01:00"},
		{"Europe/Paris", "@hourly", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-29T04:00:00+02:00"},

		// Santiago has no midnight on 6 September 2026, and repeats 23:00 on 4 April.
		{"America/Santiago", "@daily", "2026-09-04T12:00:00-04:00", "2026-09-05T00:00:00-04:00 2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00"},
		{"America/Santiago", "@daily", "2026-04-03T12:00:00-03:00", "2026-04-04T00:00:00-03:00 2026-04-05T00:00:00-04:00 2026-04-06T00:00:00-04:00"},
		{"America/Santiago", "@weekly", "2026-08-31T12:00:00-04:00", "2026-09-06T01:00:00-03:00 2026-09-13T00:00:00-03:00"},
		{"America/Santiago", "0 0 6 9 *", "2026-08-31T12:00:00-04:00", "2026-09-06T01:00:00-03:00 2027-09-06T00:00:00-03:00"},
		{"America/Santiago", "30 23 * * *", "2026-04-04T00:00:00-03:00", "2026-04-04T23:30:00-03:00 2026-04-05T23:30:00-04:00"},
		{"America/Santiago", "0 */12 * * *", "2026-09-05T01:00:00-04:00", "2026-09-05T12:00:00-04:00 2026-09-06T01:00:00-03:00 2026-09-06T12:00:00-03:00"},
		{"America/Santiago", "*/30 * * * *", "2026-09-05T23:15:00-04:00", "2026-09-05T23:30:00-04:00 2026-09-06T01:00:00-03:00 2026-09-06T01:30:00-03:00"},

		// Lord Howe Island skips 02:00 to 02:30 on 4 October 2026, and repeats 01:30 to 02:00 on 5 April.
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00+10:30", "2026-10-03T02:15:00+10:30 2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00", "2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30"},
		{"Australia/Lord_Howe", "*/15 * * * *", "2026-10-04T01:30:00+10:30", "2026-10-04T01:45:00+10:30 2026-10-04T02:30:00+11:00 2026-10-04T02:45:00+11:00"},
		{"Australia/Lord_Howe", "*/15 * * * *", "2026-04-05T01:30:00+11:00", "2026-04-05T01:45:00+11:00 2026-04-05T01:30:00+10:30 2026-04-05T01:45:00+10:30"},
		{"Australia/Lord_Howe", "15 * * * *", "2026-10-04T01:00:00+10:30", "2026-10-04T01:15:00+10:30 2026-10-04T02:45:00+11:00 2026-10-04T03:15:00+11:00"},

		// Havana repeats midnight, Samoa went without 30 December 2011.
		{"America/Havana", "@daily", "2026-10-31T12:00:00-04:00", "2026-11-01T00:00:00-04:00 2026-11-02T00:00:00-05:00"},
		{"Pacific/Apia", "30 2 * * *", "2011-12-28T12:00:00-10:00", "2011-12-29T02:30:00-10:00 2011-12-31T00:00:00+14:00 2011-12-31T02:30:00+14:00"},

		{"UTC", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"UTC", "0 0 29 2 */7", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00Z 2060-02-29T00:00:00Z 2088-02-29T00:00:00Z 2128-02-29T00:00:00Z"}, // both, as in cron
		{"UTC", "59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
		{"UTC", "0 4 1 * MON", "2026-06-30T12:00:00Z", "2026-07-01T04:00:00Z 2026-07-06T04:00:00Z 2026-07-13T04:00:00Z"},
		{"UTC", "0 4 */10 * MON", "2026-06-30T12:00:00Z", "2026-08-31T04:00:00Z 2026-09-21T04:00:00Z"},
		{"UTC", "0 0 * * 5-7", "2026-07-02T12:00:00Z", "2026-07-03T00:00:00Z 2026-07-04T00:00:00Z 2026-07-05T00:00:00Z 2026-07-10T00:00:00Z"},
		{"UTC", "@monthly", "2026-07-02T12:00:00Z", "2026-08-01T00:00:00Z"},
		{"UTC", "@yearly", "2026-07-02T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "* * * * *", "2026-07-02T12:00:59.999Z", "2026-07-02T12:01:00Z 2026-07-02T12:02:00Z"},
		{"Asia/Kathmandu", "0 0 * * *", "2026-07-02T12:00:00Z", "2026-07-03T00:00:00+05:45"},
	} {
		t.Run(strings.ReplaceAll(c.zone+" "+c.expr+" "+c.after, "/", "_"), func(t *testing.T) {
			want := strings.Fields(c.want)
			got := nexts(mustParse(t, c.expr, c.zone), at(t, c.after), len(want))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every day has exactly one run of a fixed time, at that time where it exists,
// at its first occurrence, and just after the gap where it does not.
func TestFixedTimesAreNeitherSkippedNorRepeated(t *testing.T) {
	zones := []string{
		"UTC", "Europe/Paris", "America/Santiago", "America/Havana", "America/Sao_Paulo",
		"Australia/Lord_Howe", "Asia/Beirut", "Atlantic/Azores", "Pacific/Chatham",
	}
	start, end := time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	gaps, overlaps := 0, 0
	for _, zone := range zones {
		for _, clock := range []string{"00:00", "00:30", "01:00", "01:30", "01:45", "02:15", "02:45", "03:00", "23:59"} {
			wall, err := time.Parse("15:04", clock)
			if err != nil {
				t.Fatal(err)
			}
			s := mustParse(t, fmt.Sprintf("%d %d * * *", wall.Minute(), wall.Hour()), zone)
			due := s.Next(time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, s.zone).Add(-time.Second))
			for day := start; day.Before(end); day = day.AddDate(0, 0, 1) {
				wanted := day.Add(time.Duration(wall.Hour())*time.Hour + time.Duration(wall.Minute())*time.Minute)
				kind := judge(due, wanted)
				switch kind {
				case "gap":
					gaps++
				case "overlap":
					overlaps++
				case "":
				default:
					t.Fatalf("%s %s on %s: due at %s: %s", zone, clock, day.Format(time.DateOnly), due, kind)
				}
				if kind != "" && !s.Latest(due.Add(time.Hour)).Equal(due) {
					t.Fatalf("%s %s: an hour after %s the latest is %s", zone, clock, due, s.Latest(due.Add(time.Hour)))
				}
				due = s.Next(due)
			}
		}
	}
	if gaps < 100 || overlaps < 100 {
		t.Errorf("seen only %d gaps and %d overlaps", gaps, overlaps)
	}
}

// reading is what the clock shows, as a time in UTC.
func reading(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// judge says what kind of day it was, or what is wrong with when it ran.
func judge(due, wanted time.Time) string {
	shown := reading(due)
	kind := ""
	switch {
	case shown.Before(wanted):
		return "too early"
	case shown.After(wanted):
		if before := reading(due.Add(-time.Second)); !before.Before(wanted) {
			return "not just after a gap"
		}
		kind = "gap"
	}
	for back := 15 * time.Minute; back <= 2*time.Hour; back += 15 * time.Minute {
		if reading(due.Add(-back)).Equal(wanted) {
			return "the second time"
		}
		if reading(due.Add(back)).Equal(wanted) {
			kind = "overlap"
		}
	}
	return kind
}

// What runs every n minutes does so whatever the clock does, as long as it is
// changed by a multiple of that.
func TestMinutesFollowElapsedTime(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Paris", "America/Santiago", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"} {
		for _, minutes := range []int{5, 15, 30} {
			s := mustParse(t, fmt.Sprintf("*/%d * * * *", minutes), zone)
			step := time.Duration(minutes) * time.Minute
			for _, month := range []time.Month{time.March, time.September, time.November} {
				due := s.Next(time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC))
				for end := due.AddDate(0, 1, 10); due.Before(end); {
					next := s.Next(due)
					if elapsed := next.Sub(due); elapsed != step && !(zone == "Australia/Lord_Howe" && elapsed%step == 0) {
						t.Fatalf("%s, %s: %s after %s", zone, s, elapsed, due)
					}
					due = next
				}
			}
		}
	}
}

func TestLatest(t *testing.T) {
	for _, c := range []struct{ zone, expr, at, want string }{
		{"UTC", "30 2 * * *", "2026-07-02T02:30:00Z", "2026-07-02T02:30:00Z"},
		{"UTC", "30 2 * * *", "2026-07-02T02:29:59.999Z", "2026-07-01T02:30:00Z"},
		{"UTC", "0 0 29 2 *", "2032-02-28T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"UTC", "0 0 29 2 *", "2103-02-28T00:00:00Z", ""}, // 1900 and its like are no leap years
		{"UTC", "* * * 1 *", "2026-12-31T00:00:00Z", "2026-01-31T23:59:00Z"},
		{"UTC", "* * * * *", "2026-12-31T00:00:30Z", "2026-12-31T00:00:00Z"},
		{"Europe/Paris", "30 2 * * *", "2026-03-29T12:00:00+02:00", "2026-03-29T03:00:00+02:00"},
		{"Europe/Paris", "30 2 * * *", "2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+02:00"},
		{"Europe/Paris", "*/15 * * * *", "2026-10-25T02:14:00+01:00", "2026-10-25T02:00:00+01:00"},
		{"Europe/Paris", "*/15 * * * *", "2026-10-25T01:59:00+01:00", "2026-10-25T02:45:00+02:00"},
		{"America/Santiago", "@daily", "2026-09-06T00:59:59-04:00", "2026-09-06T01:00:00-03:00"},
	} {
		got := mustParse(t, c.expr, c.zone).Latest(at(t, c.at))
		want := time.Time{}
		if c.want != "" {
			want = at(t, c.want)
		}
		if !got.Equal(want) {
			t.Errorf("%s %s at %s: got %s, want %s", c.zone, c.expr, c.at, got, want)
		}
	}
}

func TestZones(t *testing.T) {
	s, err := Parse("@daily", nil)
	if err != nil {
		t.Fatal(err)
	}
	if due := s.Next(time.Now()); due.Location() != time.Local || due.Hour() != 0 {
		t.Errorf("without a zone, it is due at %s", due)
	}
	// A time is the same in whatever zone it is asked, and with a monotonic clock.
	now := time.Now()
	if a, b := s.Next(now), s.Next(now.UTC().Round(0)); !a.Equal(b) || a.String() != b.String() {
		t.Errorf("%s is not %s", a, b)
	}
}
