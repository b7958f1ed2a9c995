package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/server/records"
)

func TestRules(t *testing.T) {
	now := start
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	// done is a backup that ended so many minutes ago, an hour after it began.
	done := func(minutes int, size int64) records.Backup {
		return records.Backup{ID: fmt.Sprint("b", minutes), State: records.StateDone, Started: ago(minutes + 60), Finished: ago(minutes), Size: size}
	}
	failure := func(minutes int) records.Backup {
		return records.Backup{ID: "f", State: records.StateFailed, Started: ago(minutes + 60), Finished: ago(minutes), Error: "boom\nat line 3"}
	}
	sizes := func(all ...int64) (backups []records.Backup) {
		for i, size := range all {
			backups = append(backups, done(60*i+5, size))
		}
		return backups
	}
	for _, c := range []struct {
		name   string
		change func(f *facts)
		want   string // kinds; (kind) is one that is unsure
	}{
		{"nothing", func(f *facts) {}, ""},
		{"failed", func(f *facts) { f.last = failure(5) }, "failed"},
		{"failed, never done", func(f *facts) { f.last, f.done = failure(5), nil }, "failed"},
		{"failed, done since", func(f *facts) { f.last, f.done = failure(60), sizes(1) }, ""},
		{"failed late, after one that began later was done", func(f *facts) {
			f.last, f.done = failure(0), []records.Backup{{ID: "d", State: records.StateDone, Started: ago(50), Finished: ago(40)}}
		}, ""},
		{"due for 30 minutes", func(f *facts) { f.NextDue = ago(30) }, ""},
		{"late", func(f *facts) { f.NextDue = ago(31) }, "late"},
		{"late, no agent ever", func(f *facts) { f.NextDue, f.LastSeen = ago(31), time.Time{} }, "late"},
		{"late, and the service was away", func(f *facts) { f.NextDue, f.since = ago(31), ago(29) }, "(late)"},
		{"late, the service is back for long", func(f *facts) { f.NextDue, f.since = ago(131), ago(31) }, "late"},
		{"never due", func(f *facts) { f.NextDue = time.Time{} }, ""},
		{"nobody has a key", func(f *facts) { f.NextDue, f.LastSeen, f.Served = ago(500), ago(500), false }, ""},
		{"begun in time", func(f *facts) { f.NextDue, f.ActiveStarted, f.ActiveUntil = ago(90), ago(70), ago(-1) }, ""},
		{"begun in time, and dead", func(f *facts) { f.NextDue, f.ActiveStarted, f.ActiveUntil = ago(90), ago(70), ago(1) }, "late"},
		{"begun late", func(f *facts) { f.NextDue, f.ActiveStarted, f.ActiveUntil = ago(90), ago(20), ago(-1) }, "late"},
		{"took longer than the time between two", func(f *facts) { f.NextDue, f.done = ago(90), sizes(1) }, ""},
		{"quiet for an hour", func(f *facts) { f.LastSeen = ago(60) }, ""},
		{"silent", func(f *facts) { f.LastSeen = ago(61) }, "silent"},
		{"never seen", func(f *facts) { f.LastSeen = time.Time{} }, ""},
		{"makes a backup, and asks for none", func(f *facts) { f.LastSeen, f.ActiveStarted, f.ActiveUntil = ago(300), ago(300), ago(-1) }, ""},
		{"silent, and the service was away", func(f *facts) { f.LastSeen, f.since = ago(300), ago(59) }, "(silent)"},
		{"late and silent", func(f *facts) { f.NextDue, f.LastSeen, f.done = ago(61), ago(61), nil }, "late silent"},
		{"the same key, written otherwise", func(f *facts) { f.PublicKey, f.done[0].PublicKey = "K 1\n", "K\n1" }, ""},
		{"another key", func(f *facts) { f.PublicKey, f.done[0].PublicKey = "K1", "K2" }, "key-mismatch"},
		{"no key to compare with", func(f *facts) { f.done[0].PublicKey = "K2" }, ""},
		{"three sizes are too few", func(f *facts) { f.done = sizes(1, 100, 100, 100) }, ""},
		{"small", func(f *facts) { f.done = sizes(49, 100, 100, 100, 100) }, "odd-size"},
		{"half", func(f *facts) { f.done = sizes(50, 100, 100, 100, 100) }, ""},
		{"twice", func(f *facts) { f.done = sizes(200, 100, 100, 100, 100) }, ""},
		{"large", func(f *facts) { f.done = sizes(201, 100, 100, 100, 100) }, "odd-size"},
		{"median of an even number", func(f *facts) { f.done = sizes(301, 100, 200, 100, 200) }, "odd-size"},
		{"median of an odd number, one of them odd", func(f *facts) { f.done = sizes(100, 100, 1, 100, 90000, 110) }, ""},
		{"no more than ten", func(f *facts) {
			f.done = sizes(100, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
		}, "odd-size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts{done: []records.Backup{done(300, 100), done(360, 100)}}
			f.Known = records.Known{Project: records.Project{ID: "p", NextDue: ago(-60)}, Served: true, LastSeen: ago(5)}
			f.last = f.done[0]
			c.change(&f)
			var got []string
			for _, one := range conditions(f, now) {
				kind := one.kind
				if one.unsure {
					kind = "(" + kind + ")"
				}
				got = append(got, kind)
				if one.text == "" || strings.ContainsAny(one.text, "\n\r") {
					t.Errorf("the text %q", one.text)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWrongKeys tells one wrong key from another.
func TestWrongKeys(t *testing.T) {
	f := facts{done: []records.Backup{{ID: "b", PublicKey: "K2"}}}
	f.PublicKey = "K1"
	one, _ := keyMismatch(f, start)
	f.done[0].PublicKey = "K3"
	two, _ := keyMismatch(f, start)
	if one.subject == two.subject || one.subject == "" {
		t.Errorf("%q and %q", one.subject, two.subject)
	}
}

func TestWait(t *testing.T) {
	total := time.Duration(0)
	for tries := 1; tries < mostTries; tries++ {
		if wait(tries) > longWait || wait(tries) < firstWait || wait(tries+1) < wait(tries) {
			t.Errorf("after %d tries %v", tries, wait(tries))
		}
		total += wait(tries)
	}
	if total < 6*time.Hour || total > 10*time.Hour {
		t.Errorf("given up after %v", total)
	}
}
