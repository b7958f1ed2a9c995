package dumper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"
)

// Restore feeds an archive of Dump to pg_restore. Into a database that exists it
// runs in a single transaction: an error means that nothing was changed. With
// o.Create the database is made first, and dropped again on an error. Restore
// reads r to its end; it takes any error of r, and an archive that is not whole,
// for a failure.
func (p *Postgres) Restore(ctx context.Context, r io.Reader, o RestoreOptions) error {
	if p.conn.Database == "" {
		return errors.New("no database to restore into: name it with --db-name or DBACKED_DB_NAME")
	}
	a, err := openArchive(r)
	if err != nil {
		return err
	}
	defer a.close()
	program, single, err := p.planRestore(ctx, a, o)
	if err != nil {
		return err
	}
	if o.Create {
		if err := p.createDatabase(ctx, a, o); err != nil {
			return err
		}
	}
	if err := p.runRestore(ctx, program, a, o, single); err != nil {
		return p.failedRestore(ctx, err, o)
	}
	if !o.Create {
		return nil
	}
	db, err := p.connectMaintenance(ctx)
	if err == nil {
		defer db.close()
		err = p.applyDatabase(ctx, db, a, o, false)
	}
	if err != nil {
		return fmt.Errorf("all data was restored into the database %s, but not its settings and grants: %w", pgName(p.conn.Database), err)
	}
	return nil
}

// planRestore picks the pg_restore, and says whether one transaction can hold it
// all.
func (p *Postgres) planRestore(ctx context.Context, a *pgArchive, o RestoreOptions) (program pgTool, single bool, err error) {
	connect := func(ctx context.Context) (*pgDB, error) { return p.connect(ctx, p.conn.Database) }
	if o.Create {
		connect = p.connectMaintenance
	}
	db, err := connect(ctx)
	if err != nil {
		return program, false, err
	}
	defer db.close()
	if program, err = p.restoreTool(ctx, a, db.release); err != nil {
		return program, false, err
	}
	var room int64
	err = db.QueryRow(ctx, `SELECT current_setting('max_locks_per_transaction')::int8 *
		(current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8)`).Scan(&room)
	if err != nil {
		return program, false, fmt.Errorf("asking for the size of the server's lock table: %w", err)
	}
	if a.whole && a.locks < room*7/10 {
		return program, true, nil
	}
	fields := []zap.Field{zap.Int64("locks", a.locks), zap.Int64("room", room)}
	if !o.Create {
		p.log.Warn("the dump has so many objects that one transaction may not hold their locks: if it fails, raise max_locks_per_transaction, or restore with --create", fields...)
		return program, true, nil
	}
	p.log.Info("the dump has too many objects for one transaction: several are used, and the new database is dropped if one fails", fields...)
	return program, false, nil
}

// runRestore runs pg_restore.
func (p *Postgres) runRestore(ctx context.Context, program pgTool, a *pgArchive, o RestoreOptions, single bool) error {
	args := []string{"--exit-on-error", "--no-password"}
	switch {
	case single:
		args = append(args, "--single-transaction")
	case program.release >= 1700:
		args = append(args, "--transaction-size=1000")
	}
	if o.NoOwner {
		args = append(args, "--no-owner")
	}
	if o.NoPrivileges {
		args = append(args, "--no-privileges")
	}
	if o.Clean && !o.Create {
		args = append(args, "--clean", "--if-exists")
	}
	application := pgApplication + "/" + rand.Text()[:10]
	t, err := p.tool(program.path, append(args, "--dbname="+p.toolConninfo(p.conn.Database, application).String())...)
	if err != nil {
		return err
	}
	t.stall = p.limits.Stall
	t.busy = func(ctx context.Context) error { return p.restoreBusy(ctx, application) }
	return t.input(ctx, a.body, io.Discard)
}

// restoreBusy says whether the server is at work for a pg_restore that takes no
// more input: nil, or why not.
func (p *Postgres) restoreBusy(ctx context.Context, application string) error {
	stall := &StallError{Tool: "pg_restore", Limit: p.limits.Stall}
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return fmt.Errorf("%w, and the server does not answer: %w", stall, err)
	}
	defer db.close()
	var state, wait, event, blockers string
	err = db.QueryRow(ctx, `SELECT coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), array_to_string(pg_blocking_pids(pid), ', ')
		FROM pg_catalog.pg_stat_activity WHERE application_name = $1 ORDER BY backend_start LIMIT 1`, application).
		Scan(&state, &wait, &event, &blockers)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it has no session on the server", stall)
	case blockers != "":
		return fmt.Errorf("%w: it waits for a lock that the sessions %s hold; end them with pg_terminate_backend", stall, blockers)
	case state != "active" || wait == "Client":
		return fmt.Errorf("%w: its session is %s and waits for %s", stall, state, event)
	}
	return nil
}

// failedRestore says in what state a restore that failed left the target.
func (p *Postgres) failedRestore(ctx context.Context, err error, o RestoreOptions) error {
	exit, isExit := errors.AsType[*ExitError](err)
	if isExit {
		err = p.advise(err)
	}
	switch {
	case o.Create:
		return p.dropDatabase(ctx, err)
	case isExit && exit.Code == 0:
		return err
	}
	return fmt.Errorf("%w; the restore ran in a single transaction: nothing was changed in the database %s", err, pgName(p.conn.Database))
}

// restoreTool is the pg_restore for an archive and a server: of the server's own
// release if that reads the archive, else the next newer one, else an older one.
func (p *Postgres) restoreTool(ctx context.Context, a *pgArchive, server pgRelease) (pgTool, error) {
	needed := pgReads(a.header.Minor)
	found, err := p.findTools(ctx, "pg_restore", func(t pgTool) bool { return t.chosen && t.release == server && t.release >= needed })
	if err != nil {
		return pgTool{}, err
	}
	var best pgTool
	for _, t := range found {
		// Since 17 it begins with SET transaction_timeout, which older servers refuse.
		if t.release < needed || t.release >= 1700 && server < 1700 {
			continue
		}
		if best.path == "" || pgBetter(t, best, server) {
			best = t
		}
	}
	if best.path != "" {
		return best, nil
	}
	if needed >= 1700 && server < 1700 {
		return best, fmt.Errorf("the dump was made by pg_dump %s, and only pg_restore %s and newer reads it, which PostgreSQL %s does not understand: restore it into PostgreSQL %s or newer",
			a.header.ToolVersion, needed, server, needed)
	}
	return best, fmt.Errorf("the dump was made by pg_dump %s and needs pg_restore %s or newer: install the package postgresql-client-%s, or name its folder in DBACKED_TOOLS_PATH; %s",
		a.header.ToolVersion, needed, max(needed, server), pgFound("pg_restore", found))
}

// pgBetter says whether a fits a server better than b.
func pgBetter(a, b pgTool, server pgRelease) bool {
	if (a.release >= server) != (b.release >= server) {
		return a.release >= server
	}
	if a.release == b.release {
		return a.chosen && !b.chosen
	}
	return (a.release < b.release) == (a.release >= server)
}

// pgReads is the first release whose pg_restore reads a version of the format.
func pgReads(minor int) pgRelease {
	switch {
	case minor >= 16:
		return 1700
	case minor == 15:
		return 1600
	case minor == 14:
		return 1200
	case minor == 13:
		return 1000
	}
	return 900
}
