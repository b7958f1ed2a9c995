package records

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFiles is the life of a backup of several files.
func TestFiles(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		ctx, given := t.Context(), b.given("a", "r1")
		ask := func(name string, number int) File {
			t.Helper()
			f, err := b.AskPart(ctx, given.ProjectID, given.ID, "a", name, Part{Number: number, MD5: "m", Size: 5}, b.now)
			b.ok(err)
			return f
		}
		one, two := ask("shop/1/0000", 1), ask("shop/1/0001", 1)
		ask("shop/1/0000", 2)
		ask("shop/1/0000", 1) // again, after an error
		if one.Number != 1 || two.Number != 2 {
			t.Errorf("numbers %d and %d", one.Number, two.Number)
		}
		one, err := b.SetUpload(ctx, one, "first")
		b.ok(err)
		other, err := b.SetUpload(ctx, one, "second")
		b.ok(err)
		if one.Upload != "first" || other.Upload != "first" {
			t.Errorf("uploads %q and %q", one.Upload, other.Upload)
		}
		b.ok(b.PartStored(ctx, given.ProjectID, given.ID, 1, Part{Number: 2, ETag: `"e"`, Size: 6}, b.now))
		b.is(b.PartStored(ctx, given.ProjectID, given.ID, 1, Part{Number: 3}, b.now), ErrNotFound)
		f, err := b.File(ctx, given.ProjectID, given.ID, "shop/1/0000")
		b.ok(err)
		if diff := cmp.Diff([]Part{{Number: 1, MD5: "m", Size: 5}, {Number: 2, MD5: "m", ETag: `"e"`, Size: 6}}, f.Parts); diff != "" {
			t.Error(diff)
		}
		f.Size, f.ETag, f.Modified = 11, `"w-2"`, b.now
		b.is(b.CompleteFile(ctx, f, "somebody", f.Name), ErrLost)
		b.ok(b.CompleteFile(ctx, f, "a", f.Name))
		b.ok(b.CompleteFile(ctx, f, "a", f.Name))
		f.ETag = `"else"`
		b.is(b.CompleteFile(ctx, f, "a", f.Name), ErrConflict)
		_, err = b.AskPart(ctx, given.ProjectID, given.ID, "a", "shop/1/0000", Part{Number: 3}, b.now)
		b.is(err, ErrConflict)

		third := ask("upload-x", 1)
		third.Size, third.ETag, third.Modified = 1, `"t"`, b.now
		b.is(b.CompleteFile(ctx, third, "a", "shop/1/0000"), ErrConflict) // the name is taken
		b.ok(b.CompleteFile(ctx, third, "a", "shop/1/0002"))
		b.ok(b.CompleteFile(ctx, third, "a", "shop/1/0002"))
		if _, found, err := b.Discard(ctx, given.ProjectID, given.ID, "a", "shop/1/0002", b.now); err != nil || !found {
			t.Errorf("%v, %v", found, err)
		}
		if again := ask("upload-y", 1); again.Number != 4 {
			t.Errorf("number %d was used before", again.Number)
		}

		gone, found, err := b.Discard(ctx, given.ProjectID, given.ID, "a", "shop/1/0001", b.now)
		if err != nil || !found || gone.Number != 2 {
			t.Errorf("%+v, %v, %v", gone, found, err)
		}
		if _, found, err = b.Discard(ctx, given.ProjectID, given.ID, "a", "shop/1/0001", b.now); err != nil || found {
			t.Errorf("again: %v, %v", found, err)
		}
		_, begun, err := b.begin(given, "all")
		b.ok(err)
		m, err := b.AddFile(ctx, begun, "shop/1/manifest")
		b.ok(err)
		m.Size, m.ETag, m.Modified = 3, `"m"`, b.now.Truncate(time.Millisecond)
		b.ok(b.CompleteFile(ctx, m, "a", m.Name))
		b.ok(b.EndDone(ctx, begun, b.now))

		var names []string
		for _, prefix := range []string{"shop/1/", "Shop", "shop_1", "shop/1/m", ""} {
			all, err := b.Objects(ctx, given.ProjectID, prefix)
			b.ok(err)
			for _, f := range all {
				names = append(names, prefix+": "+f.Name+" "+f.State)
			}
		}
		want := []string{"shop/1/: shop/1/0000 done", "shop/1/: shop/1/manifest done", "shop/1/m: shop/1/manifest done", ": shop/1/0000 done", ": shop/1/manifest done"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNamesStay lets a later backup claim the names of an earlier one.
func TestNamesStay(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		complete := func(given Backup, name string) error {
			f, err := b.AskPart(t.Context(), given.ProjectID, given.ID, given.AgentID, "upload-x", Part{Number: 1, MD5: given.ID}, b.now)
			b.ok(err)
			f.ETag = given.ID
			return b.CompleteFile(t.Context(), f, given.AgentID, name)
		}
		first := b.given("a", "r1")
		b.ok(complete(first, "shop/1/0000"))
		b.done(first)
		b.passes(time.Hour)
		second := b.given("a", "r2")
		b.is(complete(second, "shop/1/0000"), ErrConflict)
		b.ok(complete(second, "shop/2/0000"))
		b.done(second)
		b.passes(time.Hour)
		old := b.given("b", "")
		b.ok(complete(old, "backup"))
		b.done(old)
		b.passes(time.Hour)
		b.ok(complete(b.given("b", ""), "backup")) // as every agent of 2018 calls its file
	})
}

// TestKeys makes, finds and ends keys.
func TestKeys(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		ctx := t.Context()
		plain, k, err := b.CreateKey(ctx, b.project.ID, KeyAgent, "first", b.now)
		b.ok(err)
		other, _, err := b.CreateKey(ctx, b.project.ID, KeyRestore, "second", b.now)
		b.ok(err)
		if plain == other || len(plain) < 40 {
			t.Errorf("keys %q and %q", plain, other)
		}
		got, p, err := b.Caller(ctx, plain)
		if err != nil || got.ID != k.ID || got.Kind != KeyAgent || p.Name != "shop" {
			t.Errorf("%+v, %+v, %v", got, p, err)
		}
		for _, wrong := range []string{"", plain[:len(plain)-1], plain + "x", k.ID, hashed(plain)} {
			_, _, err := b.Caller(ctx, wrong)
			b.is(err, ErrNotFound)
		}
		b.Touch(k, "a", "2.0", b.now)
		if all, err := b.Agents(ctx, b.project.ID); err != nil || len(all) != 1 || all[0].Version != "2.0" || !all[0].LastSeen.Equal(b.now) {
			t.Errorf("%+v, %v", all, err)
		}
		b.ok(b.RevokeKey(ctx, k.ID, b.now.Add(time.Hour)))
		b.ok(b.RevokeKey(ctx, k.ID, b.now.Add(2*time.Hour)))
		b.is(b.RevokeKey(ctx, "none", b.now), ErrNotFound)
		_, _, err = b.Caller(ctx, plain)
		b.is(err, ErrNotFound)
		all, err := b.Keys(ctx, b.project.ID)
		if err != nil || len(all) != 2 || !all[0].Revoked.Equal(b.now.Add(time.Hour)) || !all[0].LastUsed.Equal(b.now) || !all[1].Revoked.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
		secret, err := b.Secret(ctx)
		b.ok(err)
		if again, err := open(t, b.dsn).Secret(ctx); err != nil || string(again) != string(secret) || len(secret) != 32 {
			t.Errorf("another replica signs otherwise: %v", err)
		}
		b.ok(b.Audit(ctx, "root", "x", b.project.ID, "one", b.now))
		b.ok(b.Audit(ctx, "root", "y", "", "two", b.now))
		if log, err := b.AuditLog(ctx, "", 10); err != nil || len(log) != 2 || log[0].Detail != "two" {
			t.Errorf("%+v, %v", log, err)
		}
		if log, err := b.AuditLog(ctx, b.project.ID, 10); err != nil || len(log) != 1 {
			t.Errorf("%+v, %v", log, err)
		}
	})
}
