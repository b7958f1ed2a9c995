package dumper

// pgRule is one of pg_dump's demands. Its query has a row for each object that
// does not meet it: what the object is, and what mends it (USER is the role).
type pgRule struct {
	what    string // the objects, in the plural
	level   Level
	message string
	fine    string // what is said when all is well, or ""
	all     string // what mends all of them at once, or ""
	query   string
}

// pgDumped are the relations that pg_dump locks and reads: tables and sequences
// outside the system's schemas; of an extension's only those that it marks as
// configuration. It runs no view and no materialized view.
const pgDumped = `
	SELECT c.oid, c.relkind, c.relpersistence, n.oid AS schema, n.nspname,
		pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND (NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		OR EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE c.oid = ANY (x.extconfig)))`

// pgLargeDenied is whether the role may not read a large object, for servers
// without has_largeobject_privilege.
const pgLargeDenied = `NOT (pg_catalog.pg_has_role(m.lomowner, 'USAGE') OR EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a
	WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE'))))`

// pgSuper is whether the role is a superuser.
const pgSuper = `(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)`

// pgRules are the demands of pg_dump on a server.
func pgRules(server pgRelease) []pgRule {
	readAll, alternative := "", ""
	if server >= 1400 {
		readAll = "GRANT pg_read_all_data TO USER;"
		alternative = " -- or, for all: " + readAll
	}
	large := pgLargeDenied
	if server >= 1800 {
		large = "NOT pg_catalog.has_largeobject_privilege(m.oid, 'SELECT')"
	}
	return append([]pgRule{
		{
			what: "schemas", level: Fail, message: "the role may not look into it", all: readAll,
			query: `SELECT DISTINCT 'schema ' || pg_catalog.quote_ident(nspname) AS subject, 'GRANT USAGE ON SCHEMA ' || pg_catalog.quote_ident(nspname) || ' TO USER;` + alternative + `' AS fix
				FROM (` + pgDumped + `) d WHERE NOT pg_catalog.has_schema_privilege(schema, 'USAGE')`,
		},
		{
			what: "tables and sequences", level: Fail, message: "the role may not read it", fine: "all can be read", all: readAll,
			query: `SELECT CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || name AS subject,
				'GRANT SELECT ON ' || CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || name || ' TO USER;` + alternative + `' AS fix
				FROM (` + pgDumped + `) d WHERE NOT pg_catalog.has_table_privilege(oid, 'SELECT')`,
		},
		{
			what: "row-level security", level: Fail, message: "a policy hides rows of it from the role, so pg_dump refuses it", fine: "no policy hides rows",
			all: "ALTER ROLE USER BYPASSRLS;",
			query: `SELECT 'table ' || name AS subject, 'ALTER ROLE USER BYPASSRLS; -- or dump as the table''s owner' AS fix
				FROM (` + pgDumped + `) d WHERE relkind = 'r' AND pg_catalog.row_security_active(oid)`,
		},
		{
			what: "large objects", level: Fail, message: "the role may not read it", fine: "all can be read",
			query: `SELECT 'large object ' || m.oid AS subject, 'GRANT SELECT ON LARGE OBJECT ' || m.oid || ' TO USER;' AS fix
				FROM pg_catalog.pg_largeobject_metadata m
				WHERE NOT ` + pgSuper + ` AND pg_catalog.current_setting('lo_compat_privileges') <> 'on' AND ` + large,
		},
	}, pgNotes()...)
}

// pgNotes are what is worth knowing although a dump works, and the limits of
// servers in recovery.
func pgNotes() []pgRule {
	return []pgRule{
		{
			what: "subscriptions", level: Warn, message: "only a superuser can read subscriptions: they are not in the backup",
			query: `SELECT 'subscriptions' AS subject, 'back up as a superuser, or keep a note of them' AS fix WHERE NOT ` + pgSuper + ` AND EXISTS
				(SELECT FROM pg_catalog.pg_subscription WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))`,
		},
		{
			what: "user mappings", level: Warn, message: "the role does not see its options (a foreign server's password): they are not in the backup",
			query: `SELECT 'user mapping of ' || usename || ' for server ' || pg_catalog.quote_ident(srvname) AS subject, 'back up as the foreign server''s owner or a superuser' AS fix
				FROM pg_catalog.pg_user_mappings m WHERE umoptions IS NULL AND NOT ` + pgSuper + ` AND NOT pg_catalog.pg_has_role((SELECT srvowner FROM pg_catalog.pg_foreign_server WHERE oid = m.srvid), 'USAGE')`,
		},
		{
			what: "foreign tables", level: Warn, message: "its rows lie on another server: the backup holds its definition only",
			query: `SELECT 'foreign table ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS subject, 'back up that server too' AS fix
				FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f'`,
		},
		{
			what: "locks", level: Warn, message: "pg_dump locks every table in one transaction, for which the server's lock table may be too small",
			query: `SELECT count(*) || ' tables' AS subject, 'raise max_locks_per_transaction to ' || count(*) / current_setting('max_connections')::int8 * 2 + 64 || ' and restart the server' AS fix
				FROM (` + pgDumped + `) d WHERE relkind <> 'S' HAVING count(*) > 0.7 * current_setting('max_locks_per_transaction')::int8
				* (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8)`,
		},
		{
			what: "recovery", level: Warn, message: "the server is a standby: it cancels a dump that holds replay up for longer than max_standby_streaming_delay",
			query: `SELECT 'server' AS subject, 'raise max_standby_streaming_delay, or set hot_standby_feedback = on' AS fix WHERE pg_catalog.pg_is_in_recovery()
				AND pg_catalog.current_setting('max_standby_streaming_delay') <> '-1'`,
		},
		{
			what: "unlogged tables", level: Fail, message: "a standby does not have an unlogged table's rows, so pg_dump fails on it",
			query: `SELECT 'table ' || name AS subject, 'back up from the primary, or add --no-unlogged-table-data to ` + pgOptionsVar + `' AS fix
				FROM (` + pgDumped + `) d WHERE relpersistence = 'u' AND relkind = 'r' AND pg_catalog.pg_is_in_recovery()`,
		},
	}
}
