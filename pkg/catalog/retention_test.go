package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	old1 = "20261101T000000Z-000001"
	old2 = "20261102T000000Z-000002"
	old3 = "20261103T000000Z-000003"
	new4 = "20261104T000000Z-000004"
)

// history stores four backups, a day apart by the store's clock.
func history(t *testing.T) (s storage.Store, dir string, trust Trust, by *Signer) {
	s, dir = store(t)
	by, trust = signer(t)
	for i, id := range []string{old1, old2, old3, new4} {
		ok(t, s.Put(t.Context(), Path("mydb", id, "0000.dbacked"), []byte("one")))
		ok(t, s.Put(t.Context(), Path("mydb", id, "0001.dbacked"), []byte("four")))
		m, at := manifest(id), time.Now().Add(time.Duration(i-4)*day)
		m.Started, m.Finished = at.Add(-time.Minute).UTC(), at.UTC()
		ok(t, Commit(t.Context(), s, m, by))
		redate(t, dir, id, at)
	}
	return s, dir, trust, by
}

// redate sets when the store took a manifest.
func redate(t *testing.T, dir, id string, at time.Time) {
	t.Helper()
	ok(t, os.Chtimes(filepath.Join(dir, "mydb", id, manifestName), at, at))
}

func planned(p Pruning) string {
	var words []string
	for _, d := range p.Decisions {
		words = append(words, fmt.Sprintf("%s %s: %s", d.Action, d.ID, d.Reason))
	}
	return strings.Join(words, "\n")
}

// TestDatesAreTheStores: what ids and manifests claim does not count.
func TestDatesAreTheStores(t *testing.T) {
	s, dir, trust, _ := history(t)
	redate(t, dir, old1, time.Now().Add(-hour)) // the newest, though it is called the oldest
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	want := "keep " + old1 + ": the newest good one, 1 of the last 2\nkeep " + new4 + ": 2 of the last 2\n" +
		"remove " + old3 + ": beyond the last 2 backups\nremove " + old2 + ": beyond the last 2 backups"
	if diff := cmp.Diff(want, planned(plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := plan.Decisions[0]; d.Stored < 7 || time.Since(d.Date) > 2*hour {
		t.Errorf("%+v", d)
	}
}

// TestWhatStopsAPrune spoils one of four backups in every way: it counts for no
// rule, nothing goes at all, and it is named.
func TestWhatStopsAPrune(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, s storage.Store, dir string, by *Signer)
		says  string
	}{
		"from the future": {func(t *testing.T, _ storage.Store, dir string, _ *Signer) {
			redate(t, dir, new4, time.Now().Add(11*time.Minute))
		}, "from the future: the store's date is 1"},
		"another's signature": {func(t *testing.T, s storage.Store, dir string, _ *Signer) {
			ok(t, s.Remove(t.Context(), Path("mydb", new4, manifestName)))
			other, _ := signer(t)
			ok(t, Commit(t.Context(), s, manifest(new4), other))
		}, "signed by a key that is not pinned"},
		"not signed": {func(t *testing.T, _ storage.Store, dir string, _ *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/manifest", func(b []byte) []byte { return b[:strings.LastIndex(string(b), "\n\n")+1] })
		}, "not signed"},
		"altered": {func(t *testing.T, _ storage.Store, dir string, _ *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/manifest", replaced("postgresql", "mysql"))
		}, "altered"},
		"another backup's manifest": {func(t *testing.T, s storage.Store, dir string, by *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/manifest", func([]byte) []byte {
				return must[[]byte](t)(Encode(manifest(old1), by))
			})
		}, "belongs to another backup"},
		"another instance's manifest": {func(t *testing.T, s storage.Store, dir string, by *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/manifest", func([]byte) []byte {
				m := manifest(new4)
				m.Instance = "mydb2"
				return must[[]byte](t)(Encode(m, by))
			})
		}, "belongs to another backup"},
		"garbage": {func(t *testing.T, _ storage.Store, dir string, _ *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/manifest", func([]byte) []byte { return []byte("x") })
		}, "cannot be read"},
		"a file missing": {func(t *testing.T, s storage.Store, _ string, _ *Signer) {
			ok(t, s.Remove(t.Context(), Path("mydb", new4, "0001.dbacked")))
		}, "damaged: its file 0001.dbacked is missing"},
		"a file cut": {func(t *testing.T, _ storage.Store, dir string, _ *Signer) {
			rewrite(t, dir, "mydb/"+new4+"/0001.dbacked", func(b []byte) []byte { return b[1:] })
		}, "damaged: its file 0001.dbacked has 3 bytes instead of 4"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir, trust, by := history(t)
			c.spoil(t, s, dir, by)
			before := names(t, s)
			plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 1})
			if len(plan.Removals()) != 0 || len(plan.Alerts) != 1 || !strings.Contains(plan.Alerts[0], c.says) {
				t.Errorf("%q\n%s", plan.Alerts, planned(plan))
			}
			for _, part := range []string{"alert " + new4, "keep " + old3 + ": the newest good one, 1 of the last 1", "an alert stops the prune; without it, it would go: beyond the last backup"} {
				if !strings.Contains(planned(plan), part) {
					t.Errorf("%q is not in the plan:\n%s", part, planned(plan))
				}
			}
			done, err := Prune(t.Context(), s, "mydb", plan, true)
			if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), new4) || !strings.Contains(err.Error(), c.says) || len(done) != 0 {
				t.Errorf("%v, %v", done, err)
			}
			if diff := cmp.Diff(before, names(t, s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAWrongClockHere: a machine whose clock is wrong, or jumps, does not make
// good backups old.
func TestAWrongClockHere(t *testing.T) {
	s, _, trust, _ := history(t)
	backups := must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust))
	policy := Policy{For: 5 * day, Minimum: 5 * day}
	for _, ahead := range []time.Duration{0, hour, 400 * day, 100_000 * day} {
		if plan := Plan(time.Now().Add(ahead), backups, policy); len(plan.Removals()) != 0 || len(plan.Alerts) != 0 {
			t.Errorf("%v ahead:\n%s", ahead, planned(plan))
		}
	}
	plan := Plan(time.Now().Add(-day-hour), backups, Policy{KeepLast: 1})
	if len(plan.Removals()) != 0 || len(plan.Alerts) != 1 {
		t.Errorf("behind:\n%s", planned(plan))
	}
}

// TestCautions: what is likely a mistake takes force.
func TestCautions(t *testing.T) {
	now := utc(t, "2026-11-22T21:56:43Z")
	copied := every(4, day, now)
	copied[3].Manifest.Finished = now.Add(-100 * day)
	for name, c := range map[string]struct {
		backups []Dated
		policy  Policy
		says    string // empty: no force needed
	}{
		"10 of 30":              {every(30, day, now), Policy{KeepLast: 20}, ""},
		"11 of 31":              {every(31, day, now), Policy{KeepLast: 20}, "11 backups would go, and more than 10"},
		"2 of 3":                {every(3, day, now), Policy{KeepLast: 1}, ""},
		"3 of 6":                {every(6, day, now), Policy{KeepLast: 3}, ""},
		"4 of 7":                {every(7, day, now), Policy{KeepLast: 3}, "4 of 7 backups would go, and more than half"},
		"a jump of both clocks": {append(every(30, day, now.Add(-365*day)), dated(99, now)), Policy{For: 30 * day}, "30 of 31 backups would go"},
		"a copied one":          {copied, Policy{KeepLast: 3}, "1 that would go were made more than a day before the store's date"},
		"a copy is kept":        {copied, Policy{KeepLast: 4}, ""},
	} {
		plan := Plan(now, c.backups, c.policy)
		err := plan.Allowed(false)
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrNeedsForce) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if err := plan.Allowed(true); err != nil {
			t.Errorf("%s, with force: %v", name, err)
		}
	}
	if text := some([]string{"a", "b", "c", "d", "e"}); text != "a; b; c; and 2 more" {
		t.Error(text)
	}
}

func TestDatesThatAreNone(t *testing.T) {
	now := utc(t, "2026-11-22T21:56:43Z")
	backups := every(3, day, now)
	backups[1].Date = time.Time{}
	backups[2].Manifest = nil
	plan := Plan(now, backups, Policy{KeepLast: 1})
	if len(plan.Alerts) != 2 || !strings.Contains(planned(plan), "the store does not say when it was written") {
		t.Errorf("%q", plan.Alerts)
	}
	// Ten minutes is no future, and an age is never below zero.
	backups = every(2, day, now.Add(maxAhead))
	if plan := Plan(now, backups, Policy{KeepLast: 1, Minimum: day}); len(plan.Alerts) != 0 || len(plan.Removals()) != 0 {
		t.Errorf("%q\n%s", plan.Alerts, planned(plan))
	}
}

func TestPrune(t *testing.T) {
	s, _, trust, _ := history(t)
	for _, name := range []string{"mydb/control/lock", "mydb/notes/manifest", "mydb2/" + old1 + "/manifest", "mydb/" + old1 + "-x/manifest", "mydb/20250101T000000Z-000009/0000.dbacked"} {
		ok(t, s.Put(t.Context(), name, []byte("not ours to remove")))
	}
	before := names(t, s)
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	done := must[[]Pruned](t)(Prune(t.Context(), s, "mydb", plan, false))
	if diff := cmp.Diff([]Pruned{{old1, ResultRemoved, nil}, {old2, ResultRemoved, nil}}, done); diff != "" {
		t.Errorf("the oldest first (-want +got):\n%s", diff)
	}
	var want []string
	for _, name := range before {
		if !strings.HasPrefix(name, "mydb/"+old1+"/") && !strings.HasPrefix(name, "mydb/"+old2+"/") {
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(want, names(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plan = Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	if done, err := Prune(t.Context(), s, "mydb", plan, false); err != nil || len(done) != 0 {
		t.Errorf("a second time: %v, %v", done, err)
	}
}

// guarded is a real store that does not let some objects go.
type guarded struct {
	storage.Store
	name    string // of those it guards, the end
	err     error
	removed []string
}

func (g *guarded) Remove(ctx context.Context, name string) error {
	if strings.HasSuffix(name, g.name) {
		return g.err
	}
	g.removed = append(g.removed, name)
	return g.Store.Remove(ctx, name)
}

// TestPruneLocked: of a backup whose manifest may not go, nothing goes, and the
// others do all the same.
func TestPruneLocked(t *testing.T) {
	for _, refusal := range []error{storage.ErrLocked, fs.ErrPermission} {
		s, _, trust, _ := history(t)
		backups := must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust))
		plan := Plan(time.Now(), backups, Policy{KeepLast: 2})
		g := &guarded{Store: s, name: old1 + "/manifest", err: fmt.Errorf("remove: %w", refusal)}
		done := must[[]Pruned](t)(Prune(t.Context(), g, "mydb", plan, false))
		if len(done) != 2 || done[0].Result != ResultLocked || !errors.Is(done[0].Err, refusal) || done[1].Result != ResultRemoved {
			t.Errorf("%+v", done)
		}
		left := must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust))
		if diff := cmp.Diff([]string{new4, old3, old1}, []string{left[0].ID, left[1].ID, left[2].ID}); diff != "" || left[2].Damage != nil || left[2].Proof != nil {
			t.Errorf("%s %v", diff, left[2])
		}
		if diff := cmp.Diff([]string{"mydb/" + old2 + "/manifest", "mydb/" + old2 + "/0000.dbacked", "mydb/" + old2 + "/0001.dbacked"}, g.removed); diff != "" {
			t.Errorf("the manifest goes first (-want +got):\n%s", diff)
		}
	}
}

// TestPruneFails: files that may not go are told, and what fails ends the prune
// with what was done.
func TestPruneFails(t *testing.T) {
	s, _, trust, _ := history(t)
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	boom := errors.New("the network is gone")
	done, err := Prune(t.Context(), &guarded{Store: s, name: old2 + "/manifest", err: boom}, "mydb", plan, false)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), old2) || len(done) != 1 {
		t.Errorf("%v, %v", done, err)
	}
	plan = Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 1})
	done, err = Prune(t.Context(), &guarded{Store: s, name: old2 + "/0000.dbacked", err: storage.ErrLocked}, "mydb", plan, false)
	if err != nil || len(done) != 2 || done[0].Result != ResultFilesLeft || done[1].Result != ResultRemoved {
		t.Errorf("%v, %v", done, err)
	}
	if orphans := must[[]string](t)(Orphans(t.Context(), s, "mydb")); len(orphans) != 1 {
		t.Errorf("orphans %v", orphans)
	}
}

func TestPruneFailsAtAFile(t *testing.T) {
	s, _, trust, _ := history(t)
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	done, err := Prune(t.Context(), &guarded{Store: s, name: old1 + "/0001.dbacked", err: errors.New("EIO")}, "mydb", plan, false)
	if err == nil || !strings.Contains(err.Error(), "its manifest is gone, some of its files are not: EIO") || len(done) != 0 {
		t.Errorf("%v, %v", done, err)
	}
	if removed := must[[]string](t)(RemoveOrphans(t.Context(), s, "mydb")); len(removed) != 1 {
		t.Errorf("the next run removes %v", removed)
	}
}

// TestPruneEndsWithItsLock: nothing goes once the lock is lost, and a plan that
// names what is no backup is refused.
func TestPruneEndsWithItsLock(t *testing.T) {
	s, _, trust, _ := history(t)
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), s, "mydb", trust)), Policy{KeepLast: 2})
	lost := errors.New("the lock is lost")
	ctx, end := context.WithCancelCause(t.Context())
	end(lost)
	before := len(names(t, s))
	if done, err := Prune(ctx, s, "mydb", plan, true); !errors.Is(err, lost) || len(done) != 0 || len(names(t, s)) != before {
		t.Errorf("%v, %v", done, err)
	}
	wild := Pruning{Decisions: []Decision{{ID: "../control", Action: ActionRemove}}}
	if _, err := Prune(t.Context(), s, "mydb", wild, true); err == nil || len(names(t, s)) != before {
		t.Errorf("error %v", err)
	}
	if _, err := Survey(ctx, s, "mydb", trust); !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
}

// TestSurveyOfAStoreThatFails: a manifest that cannot be read stops the prune.
func TestSurveyOfAStoreThatFails(t *testing.T) {
	s, _, trust, _ := history(t)
	away := broken{s, "mydb/" + old2 + "/manifest", errors.New("time-out")}
	plan := Plan(time.Now(), must[[]Dated](t)(Survey(t.Context(), away, "mydb", trust)), Policy{KeepLast: 1})
	if len(plan.Removals()) != 0 || len(plan.Alerts) != 1 || !strings.Contains(plan.Alerts[0], "time-out") {
		t.Errorf("%q\n%s", plan.Alerts, planned(plan))
	}
	gone := broken{s, "mydb/" + old2 + "/manifest", storage.ErrNotFound}
	if all := must[[]Dated](t)(Survey(t.Context(), gone, "mydb", trust)); len(all) != 3 {
		t.Errorf("%d left of one that went meanwhile", len(all))
	}
}
