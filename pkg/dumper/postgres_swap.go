package dumper

import (
	"context"
	"errors"
	"fmt"
)

// ErrSessions says that a database cannot be renamed, since others are connected
// to it.
var ErrSessions = errors.New("others are connected to the database")

// pgSwapTries is how often sessions are ended that come back at once.
const pgSwapTries = 10

// DropStatement is what drops a database of PostgreSQL.
func DropStatement(database string) string { return "DROP DATABASE " + pgIdent(database) }

// ErrNotOwner says that the role which connects may not rename a database.
var ErrNotOwner = errors.New("only its owner, with CREATEDB, or a superuser can rename a database")

// MaySwap says whether the role that connects has the rights that Swap needs, so
// that this is known before the hours that a restore may take.
func (p *Postgres) MaySwap(ctx context.Context) error {
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return err
	}
	defer db.close()
	var may bool
	err = db.QueryRow(ctx, `SELECT r.rolsuper OR r.rolcreatedb AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
		FROM pg_catalog.pg_database d, pg_catalog.pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user`).Scan(&may)
	if err != nil {
		return fmt.Errorf("asking who may rename the database %s: %w", pgName(db.name), err)
	}
	if !may {
		return fmt.Errorf("%w: %s is not that for %s; restore as another role (--db-username)", ErrNotOwner, pgName(db.user), pgName(db.name))
	}
	return nil
}

// Swap puts the database made into the place of p's, which is called kept from
// then on: both, or neither. Sessions of the old one are ended with force, else
// they are an ErrSessions.
func (p *Postgres) Swap(ctx context.Context, made, kept string, force bool) error {
	err := p.swap(ctx, made, kept, force)
	if err == nil {
		return nil
	}
	name := p.conn.Database
	return fmt.Errorf("%w; all data was restored, into the database %s, and %s is as it was: once nobody is connected to either, put the new one in its place with "+
		"ALTER DATABASE %s RENAME TO %s; ALTER DATABASE %s RENAME TO %s", p.advise(err), pgName(made), pgName(name), pgIdent(name), pgIdent(kept), pgIdent(made), pgIdent(name))
}

func (p *Postgres) swap(ctx context.Context, made, kept string, force bool) error {
	connect := p.connectMaintenance
	if p.conn.Database == "postgres" { // no session renames its own database
		connect = func(ctx context.Context) (*pgDB, error) { return p.connect(ctx, "template1") }
	}
	db, err := connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	for try := 1; ; try++ {
		if force {
			err = db.endSessions(ctx, p.conn.Database)
		} else {
			err = db.noSessions(ctx, p.conn.Database)
		}
		if err != nil {
			return err
		}
		err = db.swap(ctx, p.conn.Database, made, kept)
		if pgCode(err) != "55006" { // somebody is connected to it
			return err
		}
		if !force || try == pgSwapTries {
			return fmt.Errorf("%w: %w", ErrSessions, err)
		}
	}
}

// swap renames both in one transaction. From the first rename on, nobody can
// connect to either until that ends.
func (db *pgDB) swap(ctx context.Context, name, made, kept string) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, rename := range [][2]string{{name, kept}, {made, name}} {
		if _, err := tx.Exec(ctx, "ALTER DATABASE "+pgIdent(rename[0])+" RENAME TO "+pgIdent(rename[1])); err != nil {
			return fmt.Errorf("renaming the database %s: %w", pgName(rename[0]), err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("renaming the database %s: %w", pgName(name), err)
	}
	return nil
}

const pgSessions = `FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`

func (db *pgDB) noSessions(ctx context.Context, database string) error {
	sql := "SELECT count(*)::int8 " + pgSessions
	if db.release >= 1000 {
		sql += " AND backend_type = 'client backend'"
	}
	var n int
	if err := db.QueryRow(ctx, sql, database).Scan(&n); err != nil {
		return fmt.Errorf("counting the sessions of the database %s: %w", pgName(database), err)
	}
	if n > 0 {
		return fmt.Errorf("%w: %d sessions of %s", ErrSessions, n, pgName(database))
	}
	return nil
}

func (db *pgDB) endSessions(ctx context.Context, database string) error {
	if _, err := db.Exec(ctx, "SELECT pg_terminate_backend(pid) "+pgSessions, database); err != nil {
		return fmt.Errorf("ending the sessions of the database %s: %w", pgName(database), err)
	}
	return nil
}
