package dumper

import (
	"context"
	"fmt"
)

// pgObjects lists what users made in a database: what belongs to an extension or
// to the system is left out, as are indexes and what else comes with a table.
const pgObjects = `
WITH own AS (
	SELECT c.oid, 'pg_class'::regclass AS catalog, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
		WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind, c.relnamespace AS schema, c.relname AS name
	FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
	UNION ALL SELECT oid, 'pg_proc'::regclass, 'function', pronamespace, proname FROM pg_catalog.pg_proc
	UNION ALL SELECT oid, 'pg_type'::regclass, 'type', typnamespace, typname FROM pg_catalog.pg_type t WHERE typtype IN ('d', 'e', 'r')
		OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
	UNION ALL SELECT oid, 'pg_operator'::regclass, 'operator', oprnamespace, oprname FROM pg_catalog.pg_operator
	UNION ALL SELECT oid, 'pg_collation'::regclass, 'collation', collnamespace, collname FROM pg_catalog.pg_collation
	UNION ALL SELECT oid, 'pg_ts_config'::regclass, 'text search configuration', cfgnamespace, cfgname FROM pg_catalog.pg_ts_config
), named AS (
	SELECT own.kind || ' ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(own.name) AS name
	FROM own JOIN pg_catalog.pg_namespace n ON n.oid = own.schema
	WHERE own.oid >= 16384 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = own.catalog AND d.objid = own.oid AND d.deptype = 'e')
	UNION ALL SELECT 'schema ' || pg_catalog.quote_ident(nspname) FROM pg_catalog.pg_namespace n
	WHERE n.oid >= 16384 AND nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
	UNION ALL SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
)
SELECT count(*)::int8, coalesce(min(name), '') FROM named`

// State looks at the target of a restore.
func (p *Postgres) State(ctx context.Context) (State, error) {
	state := State{Engine: "postgresql"}
	db, err := p.connect(ctx, p.conn.Database)
	if pgCode(err) == "3D000" { // no such database
		db, err = p.connectMaintenance(ctx)
		if err != nil {
			return state, err
		}
		defer db.close()
		state.ServerVersion = db.version
		return state, nil
	}
	if err != nil {
		return state, err
	}
	defer db.close()
	state.Exists, state.ServerVersion = true, db.version
	if err := db.QueryRow(ctx, pgObjects).Scan(&state.Objects, &state.Example); err != nil {
		return state, fmt.Errorf("looking for objects in the database %s: %w", pgName(db.name), err)
	}
	sql := "SELECT count(*)::int8 FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	if db.release >= 1000 {
		sql += " AND backend_type = 'client backend'"
	}
	if err := db.QueryRow(ctx, sql).Scan(&state.Sessions); err != nil {
		return state, fmt.Errorf("counting the sessions of the database %s: %w", pgName(db.name), err)
	}
	return state, nil
}
