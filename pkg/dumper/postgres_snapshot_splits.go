package dumper

import (
	"cmp"
	"context"
	"fmt"
)

// Splits says whether a Snapshot would have a table as a part of its own. It asks
// for sizes alone, and takes no snapshot: where it says no, one stream is as fast.
func (p *Postgres) Splits(ctx context.Context, o SnapshotOptions) (bool, error) {
	if o.Jobs <= 1 {
		return false, nil
	}
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return false, err
	}
	defer db.close()
	if db.release < 906 {
		return false, nil
	}
	h := &pgHolder{p: p, db: db}
	if err := h.roughSizes(ctx, cmp.Or(o.Large, largeTable)); err != nil {
		return false, err
	}
	return len(pgLargeTables(h, o)) > 0, nil
}

// pgMaybeLarge are the tables that may have $1 bytes. To ask each table for its size
// takes as long as half of its dump, where tables are many and small. So it asks for
// what the server last knew of them and their TOAST: how many pages, and how many
// rows were written since it began to count. A row has no more than a page. A table
// of which it knows neither may be large.
const pgMaybeLarge = `SELECT k.oid FROM (
	SELECT c.oid, c.relpages::int8 + coalesce(t.relpages, 0) AS pages,
		greatest(pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid),
			pg_catalog.pg_stat_get_tuples_inserted(t.oid)) AS written,
		pg_catalog.current_setting('block_size')::int8 AS block
	FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid WHERE c.relkind = 'r') k
	WHERE k.pages * k.block >= $1 / 4 OR k.written * k.block >= $1 / 2 OR k.pages + k.written = 0`

// roughSizes lists the tables that may be large, with their sizes, and the size of
// all. Somebody may begin to want a table for himself just then: that wait has an end.
func (h *pgHolder) roughSizes(ctx context.Context, large int64) error {
	statements := "BEGIN READ ONLY" // a pooler keeps the limit with it
	if h.p.limits.Lock > 0 {
		statements += fmt.Sprintf("; SET LOCAL statement_timeout = %d", max(1, h.p.limits.Lock.Milliseconds()))
	}
	if _, err := h.db.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		return fmt.Errorf("asking for the sizes of the tables: %w", err)
	}
	err := h.maybeLarge(ctx, large)
	if pgCode(err) == "57014" { // by statement_timeout
		return fmt.Errorf("%w: a table was locked for longer than %s: %s: %w", ErrYield, h.p.limits.Lock, h.p.lockHolders(ctx), err)
	}
	return err
}

func (h *pgHolder) maybeLarge(ctx context.Context, large int64) (err error) {
	if h.tables, err = h.list(ctx, pgMaybeLarge, large); err != nil {
		return err
	}
	if err := h.sizes(ctx); err != nil {
		return err
	}
	var pages int64
	err = h.db.QueryRow(ctx, `SELECT coalesce(sum(relpages::int8), 0) * pg_catalog.current_setting('block_size')::int8
		FROM pg_catalog.pg_class WHERE relkind IN ('r', 't')`).Scan(&pages)
	if err != nil {
		return fmt.Errorf("asking for the size of all tables: %w", err)
	}
	h.size = max(h.size, pages)
	return nil
}
