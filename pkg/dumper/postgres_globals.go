package dumper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.uber.org/zap"
)

const (
	pgGlobalsLimit = 16 << 20 // bytes of a globals file
	pgGlobalsEnd   = "PostgreSQL database cluster dump complete"
	pgRolesLine    = "-- dbacked: roles needed: " // then a list in JSON, on one line
)

// DumpGlobals writes what is not in the database but on its server, as SQL: roles,
// their settings and memberships, tablespaces. Its first line names the roles
// that the database's own objects need. The note says whether passwords are in
// it. A role that may not read all that still gets the names of the roles.
func (p *Postgres) DumpGlobals(ctx context.Context, w io.Writer) (note string, err error) {
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return "", err
	}
	defer db.close()
	needed, err := db.neededRoles(ctx)
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(needed)
	if err != nil {
		return "", err
	}
	sql, note, err := p.globals(ctx, db)
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", pgRolesLine, line); err != nil {
		return "", err
	}
	_, err = w.Write(sql)
	return note, err
}

// globals runs pg_dumpall, with passwords if it may see them; where it may see
// nothing, the roles' names must do.
func (p *Postgres) globals(ctx context.Context, db *pgDB) (sql []byte, note string, err error) {
	var passwords bool
	if err := db.QueryRow(ctx, "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')").Scan(&passwords); err != nil {
		return nil, "", fmt.Errorf("asking whether roles' passwords can be read: %w", err)
	}
	args := []string{"--globals-only", "--no-password"}
	note = "the roles are in the backup, with their passwords"
	if !passwords {
		args = append(args, "--no-role-passwords")
		note = "the roles are in the backup, without their passwords, which only a superuser can read"
	}
	sql, err = p.runDumpall(ctx, db, args)
	if err == nil {
		return sql, note, nil
	}
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if _, ok := errors.AsType[*ExitError](err); !ok {
		return nil, "", err
	}
	p.log.Warn("pg_dumpall cannot read the server's roles: only their names are kept", zap.Error(err))
	sql, err = db.roleNames(ctx)
	return sql, "only the names of the roles: pg_dumpall is not allowed to read more", err
}

// runDumpall runs the pg_dumpall that lies beside pg_dump, and returns all of its
// output.
func (p *Postgres) runDumpall(ctx context.Context, db *pgDB, args []string) ([]byte, error) {
	program, err := p.newestTool(ctx, "pg_dumpall", db.release)
	if err != nil {
		return nil, err
	}
	// pg_dumpall ignores the database that --dbname names, and takes the value of
	// --database for parameters of a connection if there is a "=" in it.
	database := &pgConninfo{}
	database.add("dbname", db.name)
	args = append(args, "--database="+database.String(), "--dbname="+p.toolConninfo(db.name, pgApplication).String())
	t, err := p.tool(program.path, args...)
	if err != nil {
		return nil, err
	}
	t.stall = p.limits.Stall
	sql, err := t.capture(ctx, pgGlobalsLimit)
	if err != nil {
		return nil, p.advise(err)
	}
	if !bytes.Contains(sql[max(0, len(sql)-200):], []byte(pgGlobalsEnd)) {
		return nil, fmt.Errorf("%s exited with status 0, but %w: its closing line is missing", program.path, ErrIncomplete)
	}
	return sql, nil
}

// roleNames makes every role without login, for servers that show no more.
func (db *pgDB) roleNames(ctx context.Context) ([]byte, error) {
	names, err := db.roles(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, name := range names {
		if !strings.HasPrefix(name, "pg_") {
			fmt.Fprintf(&b, "CREATE ROLE %s NOLOGIN;\n", pgIdent(name))
		}
	}
	fmt.Fprintf(&b, "-- %s\n", pgGlobalsEnd)
	return b.Bytes(), nil
}

// pgOwned are the catalogs whose objects a restore gives to their owners, with
// their column of the owner.
var pgOwned = map[string]string{
	"pg_class": "relowner", "pg_proc": "proowner", "pg_type": "typowner", "pg_namespace": "nspowner", "pg_operator": "oprowner",
	"pg_largeobject_metadata": "lomowner", "pg_collation": "collowner", "pg_foreign_server": "srvowner", "pg_ts_config": "cfgowner",
	"pg_event_trigger": "evtowner", "pg_publication": "pubowner",
}

// neededRoles are the roles that the database's objects are owned by or granted
// to, those that have settings in it, and the roles that these are members of.
func (db *pgDB) neededRoles(ctx context.Context) ([]string, error) {
	// The superuser that initdb made owns objects too, but pg_shdepend does not
	// say so.
	var first []string
	for catalog, owner := range pgOwned {
		if catalog == "pg_publication" && db.release < 1000 {
			continue
		}
		first = append(first, fmt.Sprintf("EXISTS (SELECT FROM pg_catalog.%s WHERE %s = 10 AND oid >= 16384)", catalog, owner))
	}
	sql := `WITH RECURSIVE this AS (
		SELECT oid, datdba, datacl FROM pg_catalog.pg_database WHERE datname = current_database()
	), direct AS (
		SELECT s.refobjid AS role FROM pg_catalog.pg_shdepend s, this
		WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND (s.dbid = this.oid OR s.classid = 'pg_catalog.pg_database'::regclass AND s.objid = this.oid)
		UNION SELECT datdba FROM this
		UNION SELECT a.grantee FROM this, LATERAL pg_catalog.aclexplode(datacl) a
		UNION SELECT setrole FROM pg_catalog.pg_db_role_setting, this WHERE setdatabase = this.oid
		UNION SELECT 10 WHERE ` + strings.Join(first, " OR ") + `
	), needed AS (
		SELECT role FROM direct UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN needed ON m.member = needed.role
	)
	SELECT rolname::text FROM pg_catalog.pg_roles JOIN needed ON oid = role WHERE rolname !~ '^pg_' ORDER BY 1`
	names, err := db.list(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("listing the roles that the database needs: %w", err)
	}
	if names == nil {
		names = []string{}
	}
	return names, nil
}
