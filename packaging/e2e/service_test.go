//go:build e2e

package e2e

import "testing"

// TestService goes through the life of a machine with dbacked, in this order:
// each step leaves its instances running and healthy, but for the last.
func TestService(t *testing.T) {
	b := build(t)
	for _, step := range []struct {
		name string
		show func(*testing.T, *bed)
	}{
		{"running", running},
		{"idle begins", idleBegins},
		{"bucket begins", bucketBegins},
		{"vault", vault},
		{"schedule", schedule},
		{"partial", partial},
		{"journal", journalFields},
		{"metrics", metrics},
		{"hardening", hardening},
		{"sandbox", sandbox},
		{"restore", restore},
		{"secrets", secrets},
		{"terminate", terminate},
		{"kill", kill},
		{"socket", socketSurvives},
		{"watchdog", watchdog},
		{"configuration", configuration},
		{"password", password},
		{"caught up", caughtUp},
		{"idle", idle},
		{"stopped", stopped},
		{"away", away},
		{"server", dbackedServer},
		{"served", served},
		{"server removed", serverRemoved},
		{"upgrade", upgrade},
		{"remove", remove},
	} {
		mark := b.mark(t)
		if !t.Run(step.name, func(t *testing.T) { step.show(t, b) }) {
			t.Logf("in %s the journal said:\n%s", step.name, b.journal.text(min(mark, b.journal.size())))
		}
	}
}
