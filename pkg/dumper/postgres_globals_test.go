package dumper

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func globalsOf(t *testing.T, p *Postgres) (text, note string) {
	t.Helper()
	var b bytes.Buffer
	note, err := p.DumpGlobals(context.Background(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), note
}

// TestPostgresGlobals takes the roles of one server to another.
func TestPostgresGlobals(t *testing.T) {
	t.Parallel()
	from, to := dbtest.Postgres(t), dbtest.Postgres(t)
	const odd = `we ird"; DROP ROLE x; --` + "\t😀"
	ctx := context.Background()
	from.SQL(t, "postgres", `CREATE DATABASE shop`)
	from.SQL(t, "shop", `CREATE ROLE `+pgIdent(odd)+` LOGIN PASSWORD 'it''s; "secret"' CONNECTION LIMIT 3; CREATE ROLE parent; CREATE ROLE granted; CREATE ROLE stranger; CREATE ROLE setting;
		CREATE ROLE policy; CREATE ROLE lister LOGIN; GRANT parent TO `+pgIdent(odd)+` WITH ADMIN OPTION; GRANT stranger TO parent; GRANT pg_monitor TO granted;
		CREATE TABLE t (i int); ALTER TABLE t OWNER TO `+pgIdent(odd)+`; CREATE TABLE u (); GRANT SELECT ON u TO granted;
		ALTER ROLE setting IN DATABASE shop SET work_mem = '7MB'; ALTER DATABASE shop SET work_mem = '9MB'; GRANT CONNECT ON DATABASE shop TO granted; ALTER ROLE `+pgIdent(odd)+` SET search_path = 'a, b', "C;";
		ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY x ON t TO policy; COMMENT ON ROLE parent IS 'the; parent''s';`)
	from.SQL(t, "postgres", `CREATE ROLE other; CREATE TABLE elsewhere (); ALTER TABLE elsewhere OWNER TO other`)

	text, note := globalsOf(t, pgFor(t, from, "shop"))
	if note != "the roles are in the backup, with their passwords" || !strings.Contains(text, "SCRAM-SHA-256") {
		t.Errorf("%s:\n%s", note, text)
	}
	dump := mustDump(t, pgFor(t, from, "shop"))
	target := pgFor(t, to, "postgres")
	missing, err := target.MissingRoles(ctx, strings.NewReader(text))
	want := []string{"granted", "parent", "policy", "setting", "stranger", odd}
	slices.Sort(want)
	if diff := cmp.Diff(want, missing); diff != "" || err != nil {
		t.Error(err, diff)
	}
	t.Run("into a new database without the roles", func(t *testing.T) {
		p := pgFor(t, to, "new")
		wantError(t, p.Restore(ctx, bytes.NewReader(dump), RestoreOptions{Create: true}), "does not exist", "--no-owner --no-privileges", "was dropped again")
		if st, err := p.State(ctx); err != nil || st.Exists {
			t.Errorf("%+v, %v", st, err)
		}
		wantError(t, p.Restore(ctx, bytes.NewReader(dump), RestoreOptions{Create: true, NoOwner: true, NoPrivileges: true}), "lacks the role policy")
		to.SQL(t, "postgres", "CREATE ROLE policy") // which neither option leaves out
		mustRestore(t, p, dump, RestoreOptions{Create: true, NoOwner: true, NoPrivileges: true})
		if got := to.SQL(t, "new", "SHOW work_mem"); got != "9MB" {
			t.Errorf("work_mem is %s", got)
		}
		to.SQL(t, "postgres", "DROP DATABASE new")
		to.SQL(t, "postgres", "DROP ROLE policy")
	})
	t.Run("without login", func(t *testing.T) {
		if err := target.CreateRoles(ctx, strings.NewReader(text), []string{"granted", odd}, RolesNoLogin); err != nil {
			t.Fatal(err)
		}
		if got := to.SQL(t, "postgres", "SELECT count(*) FROM pg_authid WHERE oid >= 16384 AND NOT rolcanlogin AND rolpassword IS NULL AND rolname <> 'pw'"); got != "2" {
			t.Errorf("%s roles", got)
		}
		missing, err := target.MissingRoles(ctx, strings.NewReader(text))
		if diff := cmp.Diff([]string{"parent", "policy", "setting", "stranger"}, missing); diff != "" || err != nil {
			t.Error(err, diff)
		}
		to.SQL(t, "postgres", "DROP ROLE granted, "+pgIdent(odd))
	})
	t.Run("all or none", func(t *testing.T) {
		wantError(t, target.CreateRoles(ctx, strings.NewReader(text), []string{"granted", "nobody"}, RolesFull), "do not hold the role nobody")
		wantError(t, target.CreateRoles(ctx, strings.NewReader(text), []string{"granted", "postgres"}, RolesNoLogin), "already exists", "no role was made")
		if got := to.SQL(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'granted'"); got != "0" {
			t.Error("half of the roles were made")
		}
	})
	t.Run("as they were", func(t *testing.T) {
		if err := target.CreateRoles(ctx, strings.NewReader(text), missing, RolesFull); err != nil {
			t.Fatal(err)
		}
		names := "('" + strings.Join(missing, "','") + "')"
		for _, sql := range []string{
			"SELECT to_jsonb(a) - 'oid' FROM pg_authid a WHERE rolname IN " + names + " ORDER BY rolname",
			"SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members WHERE member >= 16384 ORDER BY 1, 2",
			"SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setdatabase = 0 ORDER BY 1",
			"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'parent'",
		} {
			if before, after := from.SQL(t, "shop", sql), to.SQL(t, "postgres", sql); before != after || after == "" {
				t.Errorf("%s: before %s\nafter %s", sql, before, after)
			}
		}
	})
	t.Run("for who sees no passwords", func(t *testing.T) {
		text, note := globalsOf(t, pgFor(t, from, "shop", asUser("lister")))
		if !strings.Contains(note, "without their passwords") || strings.Contains(text, "SCRAM") || !strings.Contains(text, "CREATE ROLE granted") {
			t.Errorf("%s:\n%s", note, text)
		}
	})
	t.Run("for who sees nothing", func(t *testing.T) {
		dir := script(t, "pg_dumpall", "/usr/lib/postgresql/15/bin/pg_dumpall", "echo 'permission denied for table pg_x' >&2; exit 1")
		text, note := globalsOf(t, pgFor(t, from, "shop", withTools(dir)))
		if !strings.Contains(note, "only the names") {
			t.Error(note)
		}
		again, err := pgFor(t, to, "postgres").MissingRoles(ctx, strings.NewReader(text))
		if err != nil || len(again) != 0 {
			t.Errorf("%q, %v", again, err)
		}
	})
	t.Run("cut", func(t *testing.T) {
		dir := script(t, "pg_dumpall", "/usr/lib/postgresql/15/bin/pg_dumpall", "REAL \"$@\" | head -c 500")
		_, err := pgFor(t, from, "shop", withTools(dir)).DumpGlobals(ctx, &bytes.Buffer{})
		wantError(t, err, "is not complete", "closing line")
	})
}

func TestPostgresGlobalsBounded(t *testing.T) {
	p := NewPostgres(Connection{}, Limits{}, Tools{}, nil)
	_, err := p.MissingRoles(context.Background(), bytes.NewReader(make([]byte, pgGlobalsLimit+1)))
	wantError(t, err, "more than 16 MiB")
	_, err = p.MissingRoles(context.Background(), strings.NewReader(pgRolesLine+"[\"a\n"))
	wantError(t, err, "the first line")
}

// TestPostgresNeedsTheFirstSuperuser: pg_shdepend knows nothing of that role.
func TestPostgresNeedsTheFirstSuperuser(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", "CREATE ROLE boss; CREATE DATABASE shop OWNER boss")
	p := pgFor(t, s, "shop")
	for _, step := range []struct{ sql, want string }{
		{"SELECT 1", `["boss"]`},
		{"CREATE TABLE t ()", `["boss","postgres"]`},
	} {
		s.SQL(t, "shop", step.sql)
		text, _ := globalsOf(t, p)
		if line, _, _ := strings.Cut(text, "\n"); line != pgRolesLine+step.want {
			t.Errorf("%s, want %s", line, step.want)
		}
	}
}
