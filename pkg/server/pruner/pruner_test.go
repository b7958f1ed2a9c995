package pruner

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// testRules lets three replicas apply a rule after each backup: what it does not keep is
// deleted once, seen no more, there for a week, and then removed once.
func testRules(t *testing.T, s servers) {
	onEach(t, s, 3, func(t *testing.T, b *bed) {
		ctx := t.Context()
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 2, 0 })
		var all []*made
		for range 5 {
			all = append(all, b.backup())
			b.retain()
		}
		b.seen(all[4], all[3])
		b.unseen(all[:3]...)
		for _, m := range all[:3] {
			b.is(m, records.StateDone, records.PhaseDeleted)
			if n := b.audited("backup-delete", m); n != 1 || !b.there(m) {
				t.Errorf("%s was deleted %d times, its file is there: %v", m.id, n, b.there(m))
			}
		}
		b.passes(7*24*time.Hour - 3*time.Hour)
		b.sweep()
		if _, err := b.stores[1].UndeleteBackup(ctx, b.project.ID, all[0].id, "alice", b.now()); err != nil || !b.there(all[1]) {
			t.Fatalf("at the end of the grace: %v", err)
		}
		b.retain() // the same rules would delete it again
		b.seen(all[4], all[3], all[0])
		b.passes(4 * time.Hour)
		b.sweep()
		b.sweep()
		for _, m := range all[1:3] {
			b.is(m, records.StateDone, records.PhaseRemoved)
			if n := b.audited("backup-removed", m); n != 1 || b.there(m) {
				t.Errorf("%s was removed %d times, its file is there: %v", m.id, n, b.there(m))
			}
			if _, err := b.stores[2].UndeleteBackup(ctx, b.project.ID, m.id, "alice", b.now()); !errors.Is(err, records.ErrRemoved) {
				t.Errorf("undeleted after its end: %v", err)
			}
			if status := b.done(m); status != http.StatusOK { // its answer was lost, long ago
				t.Errorf("said again: %d", status)
			}
		}
		b.seen(all[4], all[3], all[0])
		if n := b.audited("backup-undelete", all[0]); n != 1 {
			t.Errorf("undeleted %d times in the audit log", n)
		}
		_, err := b.stores[0].KeepBackup(ctx, b.project.ID, all[0].id, "alice", false, b.now())
		b.ok(err)
		b.retain()
		b.seen(all[4], all[3])
	})
}

// TestNoRule keeps all.
func TestNoRule(t *testing.T) {
	onOne(t, func(t *testing.T, b *bed) {
		first, second := b.backup(), b.backup()
		b.passes(10_000 * time.Hour)
		b.retain()
		b.sweep()
		b.seen(second, first)
	})
}

// testNotAfterFailure deletes nothing while the last backup failed, was lost, or hangs,
// and removes nothing that a rule deleted before.
func testNotAfterFailure(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		first, second := b.backup(), b.backup()
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 1, 0 })
		b.fail(b.begin())
		b.retain()
		b.seen(second, first)
		b.lost()
		b.retain()
		b.seen(second, first)
		b.passes(time.Hour)
		b.begin()
		b.passes(3 * time.Hour) // its lease is over
		b.retain()
		b.seen(second, first)
		third := b.backup()
		b.retain()
		b.seen(third)

		b.fail(b.begin())
		b.passes(8 * 24 * time.Hour)
		b.sweep()
		b.is(first, records.StateDone, records.PhaseDeleted)
		if !b.there(first) || !b.there(second) {
			t.Error("removed after a failure")
		}
		fourth := b.backup()
		b.sweep() // it was put off for an hour
		b.is(first, records.StateDone, records.PhaseRemoved)
		b.is(second, records.StateDone, records.PhaseRemoved)
		b.retain()
		b.seen(fourth)
	})
}

// testLastGood is never taken: not by a rule, nor by hand unless that says so, nor at the
// end of a grace in which the others went.
func testLastGood(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		ctx, hand := t.Context(), records.Deletion{Actor: "alice", Why: "by hand", Now: true}
		first, second := b.backup(), b.backup()
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 1, 0 })
		b.retain()
		b.passes(10_000 * time.Hour)
		b.retain()
		b.seen(second)
		if _, err := b.stores[0].DeleteBackup(ctx, b.project.ID, second.id, hand, b.now()); !errors.Is(err, records.ErrLast) {
			t.Fatalf("the last one: %v", err)
		}
		hand.Last = true
		_, err := b.stores[0].DeleteBackup(ctx, b.project.ID, second.id, hand, b.now())
		b.ok(err)
		b.sweep()
		b.is(second, records.StateDone, records.PhaseRemoved)
		b.is(first, records.StateDone, records.PhaseDeleted) // by a rule, which nothing is left to outlive
		_, err = b.stores[0].UndeleteBackup(ctx, b.project.ID, first.id, "alice", b.now())
		b.ok(err)
		b.seen(first)
	})
}

// testNotOutlived: what a rule deleted is not removed while the only other good one is
// older, for it would be the newest.
func testNotOutlived(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		old, first, second := b.backup(), b.backup(), b.backup()
		_, err := b.stores[0].KeepBackup(t.Context(), b.project.ID, old.id, "alice", true, b.now())
		b.ok(err)
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 1, 0 })
		b.retain()
		b.seen(second, old)
		_, err = b.stores[0].DeleteBackup(t.Context(), b.project.ID, second.id, records.Deletion{Actor: "alice"}, b.now())
		b.ok(err)
		b.passes(10 * 24 * time.Hour)
		b.sweep()
		b.is(second, records.StateDone, records.PhaseRemoved) // as somebody chose
		b.is(first, records.StateDone, records.PhaseDeleted)
		_, err = b.stores[0].UndeleteBackup(t.Context(), b.project.ID, first.id, "alice", b.now())
		b.ok(err)
		b.seen(first, old)
	})
}

// testLateIsNoNewer: a backup that was lost and is done late is as old as it is, and does
// not displace the one that was begun after it.
func testLateIsNoNewer(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 1, 0 })
		late := b.lost()
		second := b.backup()
		if status := b.done(late); status != http.StatusOK {
			t.Fatalf("late: %d", status)
		}
		b.seen(second, late)
		b.retain()
		b.seen(second)
	})
}

// testRun runs replicas as a service does: what one completes is pruned at once.
func testRun(t *testing.T, s servers) {
	onEach(t, s, 2, func(t *testing.T, b *bed) {
		b.keeps(func(p *records.Project) { p.Keep.KeepLast, p.Keep.Minimum = 1, 0 })
		stop := b.run()
		defer stop()
		first, second := b.backup(), b.backup()
		b.until(func() bool { return b.log.FilterMessage("deleted by its project's rules").Len() == 1 })
		b.seen(second)
		b.is(first, records.StateDone, records.PhaseDeleted)
	})
}
