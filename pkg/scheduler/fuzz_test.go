package scheduler

import (
	"strings"
	"testing"
	"time"
)

// FuzzParse shows that nothing makes Parse panic, and that what it takes is due
// after the time that it is asked for, at a matching time, found soon.
func FuzzParse(f *testing.F) {
	zones := []string{"UTC", "Europe/Paris", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia"}
	for i, expr := range []string{
		"@daily", "@hourly", "@reboot", "* * * * *", "*/15 * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 29 2 */7", "0 0 31 2 *", "5/15 * * * *",
		"0,30 2-4/2 1,15 JAN-DEC FRI-SUN", "0 22-2 * * *", "0 0 31 6 */2", "-1 * * * *", "*/0 * * * *", "* * * * * *", "*,*/2 0-23 * * 7",
	} {
		for _, seconds := range []int64{1774746000, 1792890000, 1788667200, 1791041400, 1325239200, -2208988800, 63944080} {
			f.Add(expr, seconds, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, expr string, seconds int64, zone uint8) {
		location, err := time.LoadLocation(zones[int(zone)%len(zones)])
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(expr, location)
		if err != nil {
			return
		}
		after := time.Unix(seconds%(1<<33), 0) // of the years 1698 to 2242
		began := time.Now()
		for range 5 {
			due := s.Next(after)
			if !due.After(after) {
				t.Fatalf("%q: after %s it is due at %s", expr, after, due)
			}
			if !explained(s, due) {
				t.Fatalf("%q: nothing explains that it is due at %s", expr, due)
			}
			if latest := s.Latest(due); !latest.Equal(due) {
				t.Fatalf("%q: the latest at %s is %s", expr, due, latest)
			}
			if last := s.Latest(due.Add(-1)); last.After(after) {
				t.Fatalf("%q: between %s and %s there is %s", expr, after, due, last)
			}
			after = due
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("%q took %s", expr, took)
		}
		again, err := Parse(s.String(), location)
		if err != nil || again.String() != s.String() || strings.ContainsAny(s.String(), "\n\t") {
			t.Fatalf("%q reads back as %q, %v", s.String(), again, err)
		}
	})
}

// explained says that the clock shows a matching time, or has just skipped one.
func explained(s *Schedule, due time.Time) bool {
	shown := reading(due)
	if matches(s, shown) {
		return true
	}
	if !s.elapsed {
		for skipped := shown; skipped.After(reading(due.Add(-time.Second))); skipped = skipped.Add(-time.Minute) {
			if matches(s, skipped.Truncate(time.Minute)) {
				return true
			}
		}
		return false
	}
	for back := time.Duration(0); back <= 25*time.Hour; back += 10 * time.Minute { // the clock of before
		_, before := due.Add(-back).Zone()
		if shown := due.UTC().Add(time.Duration(before) * time.Second); shown.Before(reading(due)) && matches(s, shown) {
			return true
		}
	}
	return false
}

// matches is what a cron would ask each minute.
func matches(s *Schedule, shown time.Time) bool {
	return shown.Second() == 0 && s.minute.has(shown.Minute()) && s.hour.has(shown.Hour()) &&
		s.month.has(int(shown.Month())) && s.onDay(shown.Day(), shown.Weekday())
}
