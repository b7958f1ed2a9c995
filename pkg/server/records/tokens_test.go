package records

import (
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		ctx := t.Context()
		plain, made, err := b.CreateToken(ctx, Token{Name: "alice", Expires: b.now.Add(time.Hour)}, b.now)
		b.ok(err)
		reading, _, err := b.CreateToken(ctx, Token{Name: "prometheus", ReadOnly: true}, b.now)
		b.ok(err)
		_, _, err = b.CreateToken(ctx, Token{Name: "alice"}, b.now)
		b.is(err, ErrTaken)
		got, err := b.TokenOf(ctx, plain, b.now)
		b.ok(err)
		if got != made {
			t.Errorf("%+v instead of %+v", got, made)
		}
		b.TouchToken(got, b.now)
		b.ok(b.flush(ctx))
		if got, err = b.TokenNamed(ctx, "alice"); err != nil || !got.LastUsed.Equal(b.now) {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = b.TokenOf(ctx, plain+"x", b.now)
		b.is(err, ErrNotFound)
		key, _, err := b.CreateKey(ctx, b.project.ID, KeyAgent, "", b.now)
		b.ok(err)
		_, err = b.TokenOf(ctx, key, b.now) // a key is no token
		b.is(err, ErrNotFound)
		_, _, err = b.Caller(ctx, plain) // and a token no key
		b.is(err, ErrNotFound)
		b.passes(time.Hour)
		_, err = b.TokenOf(ctx, plain, b.now) // it expired
		b.is(err, ErrNotFound)
		got, err = b.TokenOf(ctx, reading, b.now)
		b.ok(err)
		if !got.ReadOnly {
			t.Error("it may change things")
		}
		for range 2 {
			b.ok(b.RevokeToken(ctx, got.ID, b.now))
		}
		_, err = b.TokenOf(ctx, reading, b.now)
		b.is(err, ErrNotFound)
		b.is(b.RevokeToken(ctx, "x", b.now), ErrNotFound)
		all, err := b.Tokens(ctx)
		b.ok(err)
		if len(all) != 2 || all[1].Revoked.IsZero() {
			t.Errorf("%+v", all)
		}
	})
}

// TestPages goes through lists by pages of two, of which some are of one moment.
func TestPages(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		ctx := t.Context()
		other := b.newProject("other")
		for i := range 5 {
			b.done(b.given("agent", ""))
			b.ok(b.Audit(ctx, "somebody", "something", b.project.ID, "", b.now.Truncate(2*time.Hour)))
			b.ok(b.Audit(ctx, "somebody", "something", other.ID, "", b.now))
			b.passes(time.Hour + time.Duration(i))
		}
		whole, err := b.Backups(ctx, b.project.ID, nil, 10)
		b.ok(err)
		var paged []Backup
		for after := (Place{}); ; {
			page, err := b.BackupsAfter(ctx, b.project.ID, []string{StateDone, StateFailed}, after, 2)
			b.ok(err)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			after = Place{At: page[len(page)-1].Started, ID: page[len(page)-1].ID}
		}
		if len(whole) != 5 || len(paged) != 5 {
			t.Fatalf("%d backups, by pages %d", len(whole), len(paged))
		}
		for i := range whole {
			if whole[i].ID != paged[i].ID {
				t.Errorf("backup %d is %s, by pages %s", i, whole[i].ID, paged[i].ID)
			}
		}
		for project, want := range map[string]int{"": 10, b.project.ID: 5} {
			seen := map[string]bool{}
			for after := (Place{}); ; {
				page, err := b.AuditLogAfter(ctx, project, after, 2)
				b.ok(err)
				if len(page) == 0 {
					break
				}
				for _, e := range page {
					seen[e.ID] = true
				}
				after = Place{At: page[len(page)-1].At, ID: page[len(page)-1].ID}
			}
			if len(seen) != want {
				t.Errorf("%d entries of %q", len(seen), project)
			}
		}
	})
}

func TestOverviews(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		ctx := t.Context()
		b.newProject("empty")
		first := b.given("agent", "")
		b.done(first)
		b.passes(time.Hour)
		second := b.given("agent", "")
		_, err := b.Heartbeat(ctx, second.ProjectID, second.ID, "agent", &Progress{Stage: "dump", PlainBytes: 5, StoredBytes: 3}, b.now)
		b.ok(err)
		turn, _, err := b.TakeTurn(ctx, time.Second, b.now)
		b.ok(err)
		for _, kind := range []string{"late", "failed"} {
			_, err := b.OpenAlert(ctx, turn, Alert{ProjectID: b.project.ID, Kind: kind}, b.now)
			b.ok(err)
		}
		all, err := b.Overviews(ctx, "", 0)
		b.ok(err)
		if len(all) != 2 || all[0].Name != "empty" || all[0].Newest.ID != "" || all[0].Active.ID != "" {
			t.Fatalf("%+v", all)
		}
		shop := all[1]
		if shop.Newest.ID != first.ID || shop.Newest.Size != 7 || shop.Active.ID != second.ID || shop.Active.Progress.StoredBytes != 3 || shop.OpenAlerts != 2 {
			t.Errorf("%+v", shop)
		}
		one, err := b.Overview(ctx, b.project.ID)
		b.ok(err)
		if one != shop {
			t.Errorf("%+v is not %+v", one, shop)
		}
		page, err := b.Overviews(ctx, "empty", 1)
		b.ok(err)
		if len(page) != 1 || page[0].Name != "shop" {
			t.Errorf("%+v", page)
		}
		states, err := b.CountStates(ctx)
		b.ok(err)
		if len(states) != 2 {
			t.Errorf("%+v", states)
		}
		open, err := b.CountOpenAlerts(ctx)
		b.ok(err)
		if len(open) != 2 || open[0].N != 1 {
			t.Errorf("%+v", open)
		}
		active, err := b.Active(ctx, b.project.ID)
		b.ok(err)
		if active.ID != second.ID {
			t.Errorf("%+v", active)
		}
		if b.Failures() != 0 {
			t.Errorf("%d failures", b.Failures())
		}
		if _, err := b.db.ExecContext(ctx, "SELECT nonsense"); err == nil || b.Failures() != 1 {
			t.Errorf("%d failures after %v", b.Failures(), err)
		}
	})
}
