package dumper

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// pgTable is a table or a sequence of a snapshot.
type pgTable struct {
	oid         uint32
	schema      string
	name        string
	kind        string // relkind: r, p or S
	persistence string // relpersistence: p or u
	extension   bool   // it belongs to one, which marks it as configuration
	locked      bool   // by this session, for reading
	size        int64
}

func (t *pgTable) ident() string { return pgIdent(t.schema) + "." + pgIdent(t.name) }

// keepsRows says whether a dump has its rows, or its value.
func (t *pgTable) keepsRows(h *pgHolder) bool {
	return t.persistence != "u" || !slices.Contains(h.p.tools.Options, pgNoUnlogged)
}

// hasRows says whether a dump has an entry for its rows: of a partitioned table,
// the partitions have them.
func (t *pgTable) hasRows(h *pgHolder) bool { return t.kind == "r" && t.keepsRows(h) }

// pgAll is all that a dump reads.
const pgAll = "SELECT oid FROM pg_catalog.pg_class"

// list lists what a dump reads, of what a query says, and which of it this session
// has locked.
func (h *pgHolder) list(ctx context.Context, of string, args ...any) ([]pgTable, error) {
	rows, err := h.db.Query(ctx, `SELECT d.oid, d.nspname::text, c.relname::text, d.relkind::text, d.relpersistence::text,
			EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE d.oid = ANY (x.extconfig)),
			d.oid IN (SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid()
				AND l.locktype = 'relation' AND l.mode = 'AccessShareLock' AND l.granted)
		FROM (`+pgDumped+`) d JOIN pg_catalog.pg_class c ON c.oid = d.oid WHERE d.oid IN (`+of+`) ORDER BY d.oid`, args...)
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t pgTable, err error) {
		return t, row.Scan(&t.oid, &t.schema, &t.name, &t.kind, &t.persistence, &t.extension, &t.locked)
	})
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	return tables, nil
}

// pgSameTables says whether the tables are the same as before, and all of them
// are locked now: that, by their numbers, since names can change hands.
func pgSameTables(before, now []pgTable) bool {
	return slices.EqualFunc(before, now, func(a, b pgTable) bool {
		return a.oid == b.oid && a.schema == b.schema && a.name == b.name && a.kind == b.kind && (b.locked || b.kind == "S")
	})
}

// pgRoughSize is the size of the table d: as it was when it was last analysed,
// where somebody has it to himself, or wants to. To ask for more is to wait.
const pgRoughSize = `CASE WHEN d.oid = ANY (ARRAY(SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation'
		AND l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))
	THEN (SELECT c.relpages::int8 * pg_catalog.current_setting('block_size')::int8 FROM pg_catalog.pg_class c WHERE c.oid = d.oid)
	ELSE pg_catalog.pg_table_size(d.oid) END`

// sizes asks how much data there is in the tables.
func (h *pgHolder) sizes(ctx context.Context) error {
	var oids []uint32
	for _, t := range h.tables {
		if t.kind == "r" {
			oids = append(oids, t.oid)
		}
	}
	rows, err := h.db.Query(ctx, `SELECT d.oid, coalesce(`+pgRoughSize+`, 0) FROM (SELECT pg_catalog.unnest($1::oid[]) AS oid) d`, oids)
	if err != nil {
		return fmt.Errorf("asking for the sizes of the tables: %w", err)
	}
	sizes := map[uint32]int64{}
	var oid uint32
	var size int64
	if _, err := pgx.ForEachRow(rows, []any{&oid, &size}, func() error { sizes[oid] = size; return nil }); err != nil {
		return fmt.Errorf("asking for the sizes of the tables: %w", err)
	}
	for i := range h.tables {
		t := &h.tables[i]
		t.size = sizes[t.oid]
		h.size += t.size
	}
	var large int64
	if err := h.db.QueryRow(ctx, "SELECT pg_catalog.pg_table_size('pg_catalog.pg_largeobject')").Scan(&large); err != nil {
		return fmt.Errorf("asking for the size of the large objects: %w", err)
	}
	h.size += large
	return nil
}

// named asks another session, which sees what is so now, whether all tables still
// have their names. Locks keep tables from others' hands, but not the names of
// schemas; and pg_dump asks for rows by name, so of two that changed places it
// would take the wrong ones.
func (h *pgHolder) named(ctx context.Context) error {
	other, err := h.p.connect(ctx, h.p.conn.Database)
	if err != nil {
		return err
	}
	defer other.close()
	now, err := (&pgHolder{p: h.p, db: other}).list(ctx, pgAll)
	if err != nil {
		return err
	}
	names := map[uint32]pgTableName{}
	for _, t := range now {
		names[t.oid] = pgTableName{t.schema, t.name}
	}
	for _, t := range h.tables {
		if t.kind != "S" && names[t.oid] != (pgTableName{t.schema, t.name}) {
			return fmt.Errorf("%w: the schema of the table %s was renamed while it was dumped", ErrYield, t.ident())
		}
	}
	return nil
}
