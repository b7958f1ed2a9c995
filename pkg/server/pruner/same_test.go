package pruner

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/retention"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// TestSameAsTheAgent: what the service deletes is what the agent's prune would, of any
// history, by any rules, in any zone; and never the newest.
func TestSameAsTheAgent(t *testing.T) {
	gone := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		zone, err := time.LoadLocation([]string{"UTC", "Europe/Paris", "America/St_Johns", "Pacific/Apia"}[r.IntN(4)])
		if err != nil {
			t.Fatal(err)
		}
		number := func() int { return max(0, r.IntN(8)-3) }
		policy := retention.Policy{
			KeepLast: number(), Daily: number(), Weekly: number(), Monthly: number(), Yearly: number(),
			For: time.Duration(number()) * 50 * time.Hour, Minimum: time.Duration(number()) * 20 * time.Hour, Zone: zone,
		}
		now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(int64(10_000 * time.Hour))))
		var stored []records.Backup
		var dated []catalog.Dated
		at, widest := now, []time.Duration{time.Hour, 24 * time.Hour, 500 * time.Hour}[r.IntN(3)]
		for i := range r.IntN(100) {
			at = at.Add(-time.Duration(r.Int64N(int64(widest))))
			id := fmt.Sprint("backup-", i)
			stored = append(stored, records.Backup{ID: id, State: records.StateDone, Started: at})
			dated = append(dated, catalog.Dated{Entry: catalog.Entry{ID: id, Manifest: &catalog.Manifest{Finished: at}}, Date: at})
		}
		why := Excess(records.Project{Keep: policy}, zone, stored, now)
		for _, d := range catalog.Plan(now, dated, policy).Decisions {
			reason, goes := why[d.ID]
			if goes != (d.Action == catalog.ActionRemove) || goes && reason != d.Reason {
				t.Fatalf("seed %d: %s goes %v (%s), and the agent says %s (%s)", seed, d.ID, goes, reason, d.Action, d.Reason)
			}
			if goes {
				gone++
			}
		}
		if len(stored) > 0 && why[stored[0].ID] != "" {
			t.Fatalf("seed %d: the newest goes", seed)
		}
	}
	if gone < 2000 {
		t.Errorf("only %d go", gone)
	}
}
