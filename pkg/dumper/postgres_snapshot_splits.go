package dumper

import (
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
	if err := h.roughSizes(ctx); err != nil {
		return false, err
	}
	return len(pgLargeTables(h, o)) > 0, nil
}

// roughSizes lists the tables with their sizes. Somebody may begin to want a table
// for himself just then: that wait has an end.
func (h *pgHolder) roughSizes(ctx context.Context) error {
	statements := "BEGIN READ ONLY" // a pooler keeps the limit with it
	if h.p.limits.Lock > 0 {
		statements += fmt.Sprintf("; SET LOCAL statement_timeout = %d", max(1, h.p.limits.Lock.Milliseconds()))
	}
	if _, err := h.db.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		return fmt.Errorf("asking for the sizes of the tables: %w", err)
	}
	tables, err := h.list(ctx)
	if err != nil {
		return err
	}
	h.tables = tables
	err = h.sizes(ctx)
	if pgCode(err) == "57014" { // by statement_timeout
		return fmt.Errorf("%w: a table was locked for longer than %s: %s: %w", ErrYield, h.p.limits.Lock, h.p.lockHolders(ctx), err)
	}
	return err
}
