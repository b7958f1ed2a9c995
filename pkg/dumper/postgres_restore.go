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
	plan, err := p.planRestore(ctx, a, o)
	if err != nil {
		return err
	}
	if o.Create {
		if err := p.createDatabase(ctx, a, o); err != nil {
			return err
		}
	}
	if err := p.runRestore(ctx, plan, a, o); err != nil {
		return p.failedRestore(ctx, err, o)
	}
	return p.finishRestore(ctx, a, o)
}

// finishRestore gives a database that was made its settings and grants.
func (p *Postgres) finishRestore(ctx context.Context, a *pgArchive, o RestoreOptions) error {
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

// pgPlan says how an archive gets into a server.
type pgPlan struct {
	program pgTool // the pg_restore
	psql    string // if set, pg_restore writes a script for it
	single  bool   // all in one transaction
	room    int64  // locks that the server has room for
	server  pgRelease
}

// planRestore picks the tools, and says whether one transaction can hold it all.
func (p *Postgres) planRestore(ctx context.Context, a *pgArchive, o RestoreOptions) (plan pgPlan, err error) {
	connect := func(ctx context.Context) (*pgDB, error) { return p.connect(ctx, p.conn.Database) }
	if o.Create {
		connect = p.connectMaintenance
	}
	db, err := connect(ctx)
	if err != nil {
		return plan, err
	}
	defer db.close()
	if plan, err = p.restoreTool(ctx, a, db.release); err != nil {
		return plan, err
	}
	if plan.psql != "" {
		p.log.Warn("only a pg_restore that is newer than the server reads this dump: it is restored as a script by psql")
	}
	plan.single, plan.server = true, db.release
	err = db.QueryRow(ctx, `SELECT current_setting('max_locks_per_transaction')::int8 *
		(current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8)`).Scan(&plan.room)
	if err != nil {
		return plan, fmt.Errorf("asking for the size of the server's lock table: %w", err)
	}
	if a.whole && plan.holds(a.locks) {
		return plan, nil
	}
	fields := []zap.Field{zap.Int64("locks", a.locks), zap.Int64("room", plan.room)}
	if !o.Create {
		p.log.Warn("the dump has so many objects that one transaction may not hold their locks: if it fails, raise max_locks_per_transaction, or restore with --create", fields...)
		return plan, nil
	}
	p.log.Info("the dump has too many objects for one transaction: several are used, and the new database is dropped if one fails", fields...)
	plan.single = false
	return plan, nil
}

// holds says whether the server's lock table has room for so many more.
func (plan pgPlan) holds(locks int64) bool { return locks < plan.room*7/10 }

// runRestore runs pg_restore, by itself or into psql.
func (p *Postgres) runRestore(ctx context.Context, plan pgPlan, a *pgArchive, o RestoreOptions) error {
	args := pgRestoreArgs(o)
	if o.Clean && !o.Create {
		args = append(args, pgClean...)
	}
	return p.load(ctx, plan, a.body, args)
}

// pgClean are the arguments with which pg_restore drops first what it makes.
var pgClean = []string{"--clean", "--if-exists"}

// pgRestoreArgs are the arguments of every pg_restore.
func pgRestoreArgs(o RestoreOptions) []string {
	args := []string{"--exit-on-error", "--no-password"}
	if o.NoOwner {
		args = append(args, "--no-owner")
	}
	if o.NoPrivileges {
		args = append(args, "--no-privileges")
	}
	return args
}

// session is a name for a tool's session on the server, and how the tool connects
// with it.
func (p *Postgres) session() (application, conninfo string) {
	application = pgApplication + "/" + rand.Text()[:10]
	return application, "--dbname=" + p.toolConninfo(p.conn.Database, application).String()
}

// load feeds an archive to a pg_restore with those arguments.
func (p *Postgres) load(ctx context.Context, plan pgPlan, body io.Reader, args []string) error {
	if plan.psql != "" {
		return p.runScript(ctx, plan, func(ctx context.Context, application string, w io.Writer) error {
			return p.writeScript(ctx, plan, application, body, args, w)
		})
	}
	application, conninfo := p.session()
	switch {
	case plan.single:
		args = append(args, "--single-transaction")
	case plan.program.release >= 1700:
		args = append(args, "--transaction-size=1000")
	}
	t, err := p.loader(plan.program.path, application, append(args, conninfo)...)
	if err != nil {
		return err
	}
	return t.input(ctx, body, io.Discard)
}

// loader is a tool that fills a database. It is not stalled while the server works
// for the session of that name.
func (p *Postgres) loader(path, application string, args ...string) (*tool, error) {
	t, err := p.tool(path, args...)
	if err != nil {
		return nil, err
	}
	t.stall = p.limits.Stall
	t.busy = func(ctx context.Context) error { return p.restoreBusy(ctx, t.name(), application) }
	return t, nil
}

// restoreBusy says whether the server is at work for a tool that takes no more
// input: nil, or why not.
func (p *Postgres) restoreBusy(ctx context.Context, name, application string) error {
	stall := &StallError{Tool: name, Limit: p.limits.Stall}
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return fmt.Errorf("%w, and the server does not answer: %w", stall, err)
	}
	defer db.close()
	var state, wait, event, blockers string
	err = db.QueryRow(ctx, `SELECT coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), array_to_string(pg_blocking_pids(pid), ', ')
		FROM pg_catalog.pg_stat_activity WHERE application_name = $1
		ORDER BY state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' AND wait_event_type IS DISTINCT FROM 'Lock' DESC NULLS LAST, backend_start LIMIT 1`, application).
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
