package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
)

// pruneBed is a bed whose storage holds signed backups of the given ages, made
// without a database. It returns their ids too, the newest first.
func pruneBed(t *testing.T, ages ...time.Duration) (*bed, []string) {
	t.Helper()
	b := newBedOn(t, postgres, &dbtest.Server{})
	b.configure("DBACKED_TIMEZONE", "UTC")
	var ids []string
	for _, age := range ages {
		ids = append(ids, b.put(age))
	}
	return b, ids
}

// put stores a backup of three bytes that is signed as this instance's, and as
// old as the storage shall say.
func (b *bed) put(age time.Duration) string {
	b.t.Helper()
	store, err := localdir.Open(b.path("storage"))
	b.must(err)
	defer store.Close()
	signer, err := catalog.LoadOrCreateSigner(b.path("state"))
	b.must(err)
	at := time.Now().Add(-age).UTC()
	sum := strings.Repeat("0", 64)
	m := &catalog.Manifest{
		Version: 1, ID: catalog.NewID(at), Instance: "shop", Engine: "postgresql", Database: "shop", Started: at, Finished: at,
		Compression: "zstd:1", Recipients: []string{sum},
		Files: []catalog.File{{Name: "0000.dbacked", Kind: catalog.KindDump, Format: "1.0.0", StoredBytes: 3, PlainBytes: 3, SHA256: sum}},
	}
	b.must(store.Put(b.t.Context(), catalog.Path("shop", m.ID, "0000.dbacked"), []byte("one")))
	b.must(catalog.Commit(b.t.Context(), store, m, signer))
	b.redate(m.ID, age)
	return m.ID
}

// redate makes the storage say how old a backup is.
func (b *bed) redate(id string, age time.Duration) {
	b.t.Helper()
	at := time.Now().Add(-age)
	b.must(os.Chtimes(b.path("storage/shop/"+id+"/manifest"), at, at))
}

func days(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }

// prunedRows reads the output of --json.
func prunedRows(r *result) []prunedRow {
	r.t.Helper()
	var rows []prunedRow
	for line := range strings.Lines(r.out) {
		var row prunedRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			r.t.Fatalf("%v: %s", err, r)
		}
		rows = append(rows, row)
	}
	return rows
}

func results(rows []prunedRow) (all []string) {
	for _, row := range rows {
		all = append(all, row.ID+" "+row.Result)
	}
	return all
}

func TestPruneShowsThenRemoves(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(1), days(2), days(3), days(4))
	before := b.stored()
	dry := b.run("prune", "shop", "--keep-last", "3", "--dry-run").ok("a dry run removes nothing; would remove 2 of 5 backups of shop")
	dry.says("BACKUP", "REASON", "keep", "the newest good one", "1 of the last 3", "remove", "beyond the last 3 backups")
	if diff := cmp.Diff(before, b.stored()); diff != "" {
		t.Errorf("a dry run changed the storage:\n%s", diff)
	}
	if _, err := os.Stat(b.path("storage/shop/control")); err == nil {
		t.Error("a dry run made a lock")
	}
	planned := prunedRows(b.run("prune", "shop", "--keep-last", "3", "--dry-run", "--json").ok())
	r := b.run("prune", "shop", "--keep-last", "3", "--json").ok("removed 2 of 5 backups of shop")
	rows := prunedRows(r)
	want := []string{ids[0] + " kept", ids[1] + " kept", ids[2] + " kept", ids[3] + " removed", ids[4] + " removed"}
	if diff := cmp.Diff(want, results(rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, row := range rows {
		if row.Action != planned[i].Result || row.Reason != planned[i].Reason || row.Reason == "" || row.Stored < 3 || row.Date.IsZero() {
			t.Errorf("the dry run said %+v, then it was %+v", planned[i], row)
		}
	}
	if diff := cmp.Diff([]string{"newest", "minimum", "last"}, rows[0].Rules); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(ids[:3], b.list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.run("prune", "shop", "--keep-last", "3").ok("removed 0 of 3 backups of shop").says("kept")
}

// TestPruneByTheEnvFile: a rule of each kind, in the zone of the settings.
func TestPruneByTheEnvFile(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(0.01), days(5), days(5.001), days(50), days(400))
	b.configure("DBACKED_KEEP_MONTHLY", "12", "DBACKED_KEEP_FOR", "1h", "DBACKED_KEEP_MINIMUM", "0s", "DBACKED_TIMEZONE", "Pacific/Kiritimati")
	rows := prunedRows(b.run("prune", "shop", "--json", "--dry-run").ok())
	zone, err := time.LoadLocation("Pacific/Kiritimati")
	b.must(err)
	months := map[string]bool{}
	for i, row := range rows {
		month := row.Date.In(zone).Format("2006-01")
		keeps := !months[month] || i < 2
		months[month] = true
		if row.ID != ids[i] || (row.Result == "keep") != keeps {
			t.Errorf("%d: %+v", i, row)
		}
	}
	table := b.run("prune", "shop", "--dry-run").ok().out
	if want := rows[0].Date.In(zone).Format(time.DateTime); !strings.Contains(table, want) {
		t.Errorf("%s is not in\n%s", want, table)
	}
}

// TestPruneRefuses: what is likely a mistake takes --force, and a dry run says
// so with the same status.
func TestPruneRefuses(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(1), days(2), days(3), days(4), days(5))
	before := b.stored()
	for _, args := range [][]string{{"--dry-run"}, {}} {
		r := b.run(append([]string{"prune", "shop", "--keep-last", "2"}, args...)...)
		r.ends(exitRefused, "nothing is removed without --force", "4 of 6 backups would go").says("beyond the last 2 backups")
	}
	rows := prunedRows(b.run("prune", "shop", "--keep-last", "2", "--json").ends(exitRefused))
	if rows[5].Result != "not removed" || rows[5].Action != "remove" || rows[0].Result != "kept" {
		t.Errorf("%+v", rows)
	}
	if diff := cmp.Diff(before, b.stored()); diff != "" {
		t.Errorf("refused, and yet:\n%s", diff)
	}
	b.run("prune", "shop", "--keep-last", "2", "--dry-run", "--force").ok("would remove 4 of 6")
	b.run("prune", "shop", "--keep-last", "2", "--force").ok("removed 4 of 6")
	if diff := cmp.Diff(ids[:2], b.list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPruneOfCopies: a storage that was copied without its dates says that all
// is new; the newest one must not be all that is left.
func TestPruneOfCopies(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(10), days(20))
	for i, id := range ids {
		b.redate(id, time.Duration(i)*time.Minute)
	}
	b.configure("DBACKED_KEEP_DAILY", "7")
	b.run("prune", "shop").ok("removed 0 of 3").says("younger than the minimum of 1d")
	b.run("prune", "shop", "--keep-minimum", "0s").ends(exitRefused, "--force", "copied without their dates")
	if diff := cmp.Diff(ids, b.list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPruneAlerts: while there is a backup from the future, or one of another
// instance's key, nothing goes, not even with force.
func TestPruneAlerts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(b *bed, ids []string) *bed
		says  string
	}{
		"future": {func(b *bed, ids []string) *bed {
			b.redate(ids[0], -time.Hour)
			return b
		}, "from the future"},
		"another key": {func(b *bed, ids []string) *bed {
			b.must(os.Rename(b.path("state"), b.path("state-of-another")))
			b.must(os.Mkdir(b.path("state"), 0o700))
			b.put(0)
			return b
		}, "signed by a key that is not pinned"},
		"no key at all": {func(b *bed, ids []string) *bed {
			return b.with("DBACKED_STATE_DIRECTORY", b.path("tmp"))
		}, "signed by a key that is not pinned"},
		"a file cut": {func(b *bed, ids []string) *bed {
			b.write("storage/shop/"+ids[1]+"/0000.dbacked", []byte("tw"))
			return b
		}, "damaged: its file 0000.dbacked has 2 bytes instead of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			b, ids := pruneBed(t, days(0), days(1), days(2))
			b = c.spoil(b, ids)
			before := b.stored()
			for _, more := range []string{"--dry-run", "--force", "--json"} {
				r := b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", more).ends(exitRefused, "nothing is removed: backup 2", c.says, "dbacked remove")
				r.says("alert", c.says)
			}
			if diff := cmp.Diff(before, b.stored()); diff != "" {
				t.Errorf("stopped, and yet:\n%s", diff)
			}
		})
	}
}

// TestPruneTakesTheLock: a backup that runs stands in the way of a prune, and
// not of a dry run.
func TestPruneTakesTheLock(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(1), days(2))
	release, err := locker.NewFile(b.path("storage/shop/control/lock")).Hold()
	b.must(err)
	b.run("prune", "shop", "--keep-last", "1").ends(exitAgain, "running")
	b.run("prune", "shop", "--keep-last", "1", "--dry-run").ok("would remove")
	if diff := cmp.Diff(ids, b.list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	release()
	b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ok("removed 2 of 3")
}

// TestPruneLeavesWhatIsLocked: a manifest that the file system holds fast keeps
// its backup whole, and the others go.
func TestPruneLeavesWhatIsLocked(t *testing.T) {
	t.Parallel()
	b, ids := pruneBed(t, days(0), days(1), days(2), days(3))
	held := b.path("storage/shop/" + ids[3] + "/manifest")
	if out, err := exec.Command("chattr", "+i", held).CombinedOutput(); err != nil {
		dbtest.Need(t, "a file that cannot be removed (chattr "+string(out)+")", err)
	}
	t.Cleanup(func() { b.must(exec.Command("chattr", "-i", held).Run()) })
	rows := prunedRows(b.run("prune", "shop", "--keep-last", "2", "--json").ok("locked, left", "removed 1 of 4"))
	want := []string{ids[0] + " kept", ids[1] + " kept", ids[2] + " removed", ids[3] + " locked, left"}
	if diff := cmp.Diff(want, results(rows)); diff != "" || rows[3].Error == "" {
		t.Errorf("(-want +got):\n%s %+v", diff, rows[3])
	}
	if !slices.Contains(b.stored(), "shop/"+ids[3]+"/0000.dbacked 3") {
		t.Errorf("of the locked one there is %q", b.stored())
	}
	b.run("prune", "shop", "--keep-last", "2").ok().says("locked, left")
}

// TestPruneRealBackups: what stays after a prune of real backups is good, and
// what a killed run left is not touched.
func TestPruneRealBackups(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(20)
		var ids []string
		for i := range 4 {
			id := b.backup()
			b.redate(id, days(float64(4-i)))
			ids = append(ids, id)
		}
		b.must(os.Mkdir(b.path("storage/shop/20250101T000000Z-00000f"), 0o700))
		b.write("storage/shop/20250101T000000Z-00000f/0000.dbacked", []byte("left"))
		b.run("prune", "shop", "--keep-last", "2").ok("removed 2 of 4 backups of shop")
		if diff := cmp.Diff([]string{ids[3], ids[2]}, b.list()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.run("verify", "shop", "--all").ok()
		if !slices.Contains(b.stored(), "shop/20250101T000000Z-00000f/0000.dbacked 4") {
			t.Errorf("there is %q", b.stored())
		}
	})
}
