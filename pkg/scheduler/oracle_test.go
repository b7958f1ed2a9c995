package scheduler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const iterations = 40

// elapses asks systemd when a calendar expression elapses after a time.
func elapses(t *testing.T, calendar string, after time.Time) []string {
	t.Helper()
	cmd := exec.Command("systemd-analyze", "calendar", "--iterations="+strconv.Itoa(iterations), "--base-time="+after.UTC().Format("2006-01-02 15:04:05 UTC"), calendar)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		dbtest.Need(t, "systemd-analyze", err)
	}
	if err != nil {
		t.Fatalf("systemd-analyze calendar %q: %v\n%s", calendar, err, out)
	}
	var times []string
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name != "Next elapse" && !strings.HasPrefix(name, "Iter. #") {
			continue
		}
		at, err := time.Parse("Mon 2006-01-02 15:04:05 MST", value)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at.Format(time.RFC3339))
	}
	if len(times) != iterations {
		t.Fatalf("systemd-analyze calendar %q says %d times:\n%s", calendar, len(times), out)
	}
	return times
}

func agree(t *testing.T, expr, calendar string, after time.Time) {
	t.Helper()
	want := elapses(t, calendar, after)
	got := nexts(mustParse(t, expr, "UTC"), after, iterations)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q after %s: number %d is %s; systemd says %s of %q", expr, after, i+1, got[i], want[i], calendar)
			return
		}
	}
}

func TestNextAgreesWithSystemd(t *testing.T) {
	for expr, calendar := range map[string]string{
		"* * * * *":            "*-*-* *:*:00 UTC",
		"@hourly":              "hourly UTC",
		"@daily":               "daily UTC",
		"@weekly":              "Sun *-*-* 00:00:00 UTC",
		"@monthly":             "monthly UTC",
		"@yearly":              "yearly UTC",
		"30 2 * * *":           "*-*-* 02:30:00 UTC",
		"*/15 * * * *":         "*-*-* *:00/15:00 UTC",
		"5-59/10 8-18/2 * * *": "*-*-* 08..18/2:05/10:00 UTC",
		"0 4 * * 1-5":          "Mon..Fri *-*-* 04:00:00 UTC",
		"0 4 * * FRI-SUN":      "Fri..Sun *-*-* 04:00:00 UTC",
		"0 0 1,15 */3 *":       "*-01/3-01,15 00:00:00 UTC",
		"0 0 31 * *":           "*-*-31 00:00:00 UTC",
		"0 0 29 FEB *":         "*-02-29 00:00:00 UTC",
	} {
		for _, after := range []string{"2023-12-31T23:59:59Z", "2024-02-28T11:07:13Z", "2027-06-15T12:30:01Z"} {
			agree(t, expr, calendar, at(t, after))
		}
	}
}

// values picks some of a range; it returns them for cron and for systemd, which
// wants them with a width.
func values(r *rand.Rand, low, high int) (cron, calendar string) {
	if r.IntN(3) == 0 {
		return "*", "*"
	}
	var picked []int
	for range 1 + r.IntN(4) {
		picked = append(picked, low+r.IntN(high-low+1))
	}
	slices.Sort(picked)
	for i, v := range slices.Compact(picked) {
		if i > 0 {
			cron, calendar = cron+",", calendar+","
		}
		cron, calendar = cron+strconv.Itoa(v), calendar+fmt.Sprintf("%02d", v)
	}
	return cron, calendar
}

func TestNextAgreesWithSystemdAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		minute, aMinute := values(r, 0, 59)
		hour, anHour := values(r, 0, 23)
		day, aDay := values(r, 1, 28)
		month, aMonth := values(r, 1, 12)
		weekday, names := "*", ""
		if day == "*" && r.IntN(2) == 0 { // where both are given, systemd wants both and cron either
			first := 1 + r.IntN(6)
			weekday = fmt.Sprintf("%d,%d", first, first+1)
			all := []string{"", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
			names = all[first] + "," + all[first+1] + " "
		}
		after := time.Date(2020+r.IntN(12), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
		agree(t, strings.Join([]string{minute, hour, day, month, weekday}, " "),
			fmt.Sprintf("%s*-%s-%s %s:%s:00 UTC", names, aMonth, aDay, anHour, aMinute), after)
	}
}
