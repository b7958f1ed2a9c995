package dumper

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// ErrHasRows says that a table has rows which a restore would mix with its own.
var ErrHasRows = errors.New("the table has rows")

// pgObject is an object as both the target and an archive name it.
type pgObject struct{ kind, schema, name string }

// Kinds of objects, in each of which a name can be there once.
const (
	pgRelation   = "relation"
	pgType       = "type"
	pgFunction   = "function"
	pgConstraint = "constraint"
	pgElse       = "other" // its description is in the name
)

// pgThere is what the target has.
type pgThere map[pgObject]bool

// pgObjectsThere lists objects by the names that pg_dump gives them. The functions'
// types are written as it does, with an empty search path.
const pgObjectsThere = `
SELECT 'relation', n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL SELECT 'type', n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
	WHERE t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
UNION ALL SELECT 'function', n.nspname, p.proname || '(' || coalesce((SELECT string_agg(pg_catalog.format_type(a.t, NULL), ', ' ORDER BY a.i)
	FROM unnest(p.proargtypes) WITH ORDINALITY a(t, i)), '') || ')' FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
UNION ALL SELECT 'constraint', n.nspname, c.relname || ' ' || o.conname FROM pg_catalog.pg_constraint o
	JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL SELECT 'other', '', 'SCHEMA ' || nspname FROM pg_catalog.pg_namespace
UNION ALL SELECT 'other', '', 'EXTENSION ' || extname FROM pg_catalog.pg_extension
UNION ALL SELECT 'other', '', 'PROCEDURAL LANGUAGE ' || lanname FROM pg_catalog.pg_language
UNION ALL SELECT 'other', n.nspname, 'COLLATION ' || c.collname FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
UNION ALL SELECT 'other', n.nspname, 'STATISTICS ' || s.stxname FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace`

// objects lists what a target has.
func (db *pgDB) objects(ctx context.Context) (pgThere, error) {
	rows, err := db.Query(ctx, pgObjectsThere)
	if err != nil {
		return nil, fmt.Errorf("asking what the target has: %w", err)
	}
	defer rows.Close()
	there := pgThere{}
	for rows.Next() {
		var o pgObject
		if err := rows.Scan(&o.kind, &o.schema, &o.name); err != nil {
			return nil, err
		}
		there[o] = true
	}
	return there, rows.Err()
}

// has tells whether what an entry makes is there.
func (there pgThere) has(e *pgarchive.Entry) bool {
	kind, name := pgElse, e.Desc+" "+e.Tag
	switch e.Desc {
	case "TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE", "INDEX":
		kind, name = pgRelation, e.Tag
	case "TYPE", "DOMAIN", "SHELL TYPE":
		kind, name = pgType, e.Tag
	case "FUNCTION", "PROCEDURE", "AGGREGATE":
		kind, name = pgFunction, e.Tag
	case "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT":
		kind, name = pgConstraint, e.Tag
	}
	return there[pgObject{kind, e.Namespace, name}]
}

// pgTarget is a table that exists.
type pgTarget struct {
	name     pgTableName
	filled   bool
	triggers []pgTrigger // those that rows would set off
}

type pgTrigger struct{ name, enabled string }

func (t *pgTarget) ident() string { return pgIdent(t.name.schema) + "." + pgIdent(t.name.table) }

// target looks at a table that exists.
func (db *pgDB) target(ctx context.Context, name pgTableName) (*pgTarget, error) {
	t := &pgTarget{name: name}
	var kind string
	err := db.QueryRow(ctx, `SELECT c.relkind::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2`, name.schema, name.table).Scan(&kind)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking at the table %s: %w", name, err)
	case kind == "p":
		return t, nil // its rows are in its partitions
	case kind != "r":
		return nil, fmt.Errorf("%s is no table in the target: rename it there, or choose another --db-name", name)
	}
	// As pg_dump: a policy that hides rows is an error, and not fewer rows.
	if _, err := db.Exec(ctx, "SET row_security = off"); err != nil {
		return nil, err
	}
	if err := db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ONLY "+t.ident()+")").Scan(&t.filled); err != nil {
		return nil, fmt.Errorf("looking for rows in the table %s: %w", name, err)
	}
	rows, err := db.Query(ctx, `SELECT g.tgname::text, g.tgenabled::text FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND NOT g.tgisinternal AND g.tgenabled <> 'D' ORDER BY 1`, name.schema, name.table)
	if err != nil {
		return nil, fmt.Errorf("looking for triggers of the table %s: %w", name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var g pgTrigger
		if err := rows.Scan(&g.name, &g.enabled); err != nil {
			return nil, err
		}
		t.triggers = append(t.triggers, g)
	}
	return t, rows.Err()
}

// pgText quotes a text in SQL.
func pgText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
