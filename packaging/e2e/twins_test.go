//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// duesVariable says at how many due times two agents are let race, instead of dues.
const (
	duesVariable = "DBACKED_E2E_DUES"
	dues         = 6
)

// eachDueTime: of two agents of one project, on two machines, that ask at the same
// moment, one makes the backup that is due; at each due time there is one.
func eachDueTime(t *testing.T, b *bed) {
	c, n := b.clocked, number(t, duesVariable, dues)
	b.agent(t, c.twin, "orders", "pg", strings.TrimSpace(b.read(t, credstore("orders", "apikey"))))
	c.twin.journal.await(t, 0, event("orders", "agent-ready")...)
	before := len(c.all(t, "orders"))
	c.admin(t, "project", "set", "orders", "--schedule", "* * * * *")
	due := c.due(t, "orders")
	c.set(t, due.Add(-55*time.Second))

	here, there := b.mark(t), c.twin.mark(t)
	count := func(name string) (int, int) {
		fields := event("orders", name)
		return b.journal.count(here, fields...), c.twin.journal.count(there, fields...)
	}
	for i := range n {
		c.bothAsk(t)
		c.set(t, due.Add(time.Duration(i)*time.Minute+5*time.Second))
		c.bothAreAnswered()
		eventually(t, "a backup is proved", func() bool {
			one, other := count("backup-proved")
			return one+other > i
		})
	}
	c.bothAsk(t) // what they asked before is answered

	all := c.all(t, "orders")
	all = all[:len(all)-before]
	seen := map[time.Time]bool{}
	for _, g := range all {
		if g.State != "done" || seen[g.Due] {
			t.Errorf("%+v, with another of that due time: %v", g, seen[g.Due])
		}
		seen[g.Due] = true
	}
	started, startedThere := count("backup-started")
	proved, provedThere := count("backup-proved")
	t.Logf("at %d due times the one machine proved %d backups, the other %d", len(seen), proved, provedThere)
	if len(seen) < n || started+startedThere != len(seen) || proved+provedThere != len(seen) {
		t.Errorf("%d+%d were begun, at %d due times or more", started, startedThere, n)
	}
	c.bothAreAnswered()
}

// bothAsk returns when both agents ask, and are not answered yet.
func (c *clocked) bothAsk(t *testing.T) {
	t.Helper()
	c.here.hold()
	c.there.hold()
	eventually(t, "both agents ask", func() bool { return c.here.holds() && c.there.holds() })
}

func (c *clocked) bothAreAnswered() {
	c.here.open()
	c.there.open()
}
