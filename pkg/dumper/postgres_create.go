package dumper

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

const pgDatabaseTime = time.Minute // for making a database in spite of an interruption, and for dropping one that is half made

// createDatabase makes the target of a restore as the archive describes it, and
// tries its settings and grants, so that they do not fail after hours of loading.
func (p *Postgres) createDatabase(ctx context.Context, a *pgArchive, o RestoreOptions) error {
	name := p.conn.Database
	db, err := p.connectMaintenance(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	create, err := p.createStatement(ctx, db, a)
	if err != nil {
		return err
	}
	// Whether there is a database must be known, also of a restore that is
	// interrupted: its end waits for that, so long.
	making, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(pgDatabaseTime, cancel) })()
	if _, err := db.Exec(making, create); err != nil {
		if pgCode(err) == "42P04" {
			return fmt.Errorf("the database %s is there already: restore into it without --create, or choose another --db-name", pgName(name))
		}
		return p.advise(fmt.Errorf("making the database %s: %w", pgName(name), err))
	}
	if err = context.Cause(ctx); err == nil {
		err = p.ownDatabase(ctx, db, a.database.owner, o)
	}
	if err == nil {
		err = p.applyDatabase(ctx, db, a, o, true)
	}
	if err != nil {
		return p.dropDatabase(ctx, err)
	}
	return nil
}

// createStatement is CREATE DATABASE with the target's name, and only the options
// that the server knows.
func (p *Postgres) createStatement(ctx context.Context, db *pgDB, a *pgArchive) (string, error) {
	head := "CREATE DATABASE " + pgIdent(p.conn.Database) + " WITH TEMPLATE = template0"
	if a.database.create == "" {
		p.log.Warn("the dump does not describe its database: encoding and locale are the server's own")
		return head, nil
	}
	statements := pgStatements(a.database.create)
	if len(statements) != 1 || !statements[0].begins("CREATE", "DATABASE", "*") {
		return "", fmt.Errorf("the dump's description of its database is not understood: make the database yourself and restore without --create")
	}
	s := &statements[0]
	for i := 3; i < len(s.tokens); i++ {
		if i+2 >= len(s.tokens) || s.word(i+1) != "=" {
			continue
		}
		key, value := s.word(i), s.tokens[i+2]
		keep, err := p.keepOption(ctx, db, key, value)
		if err != nil {
			return "", err
		}
		if keep {
			head += " " + key + " = " + s.text[value.start:value.end]
		}
		i += 2
	}
	return head, nil
}

// keepOption says whether an option of CREATE DATABASE is given to the server.
func (p *Postgres) keepOption(ctx context.Context, db *pgDB, key string, value pgToken) (bool, error) {
	switch key {
	case "ENCODING", "LOCALE", "LC_COLLATE", "LC_CTYPE", "ICU_LOCALE", "ICU_RULES", "BUILTIN_LOCALE":
		return true, nil
	case "LOCALE_PROVIDER":
		return db.release >= 1500 || value.name != "libc", nil
	case "TABLESPACE":
		var there bool
		err := db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = $1)", value.name).Scan(&there)
		if err == nil && !there {
			p.log.Warn("the server has no such tablespace: its default is used", zap.String("tablespace", value.name))
		}
		return there, err
	}
	return false, nil
}

// ownDatabase gives the database to its owner in the dump, if the server has that
// role.
func (p *Postgres) ownDatabase(ctx context.Context, db *pgDB, owner string, o RestoreOptions) error {
	if o.NoOwner || owner == "" || owner == db.user {
		return nil
	}
	there, err := db.roles(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(there, owner) {
		p.log.Warn("the server has no role of the database's owner: it belongs to the role that restores", zap.String("owner", owner))
		return nil
	}
	if _, err := db.Exec(ctx, "ALTER DATABASE "+pgIdent(p.conn.Database)+" OWNER TO "+pgIdent(owner)); err != nil {
		return fmt.Errorf("giving the database to %s: %w; restore as a superuser, or with --no-owner", pgName(owner), err)
	}
	return nil
}

// applyDatabase gives the database its comment, settings and grants; try takes it
// all back again.
func (p *Postgres) applyDatabase(ctx context.Context, db *pgDB, a *pgArchive, o RestoreOptions, try bool) error {
	statements := pgStatements(a.database.more)
	if !o.NoPrivileges {
		statements = append(statements, pgStatements(a.database.grants)...)
	}
	roles, err := db.roles(ctx)
	if err != nil {
		return err
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, s := range statements {
		if s.begins("ALTER", "ROLE") && o.NoOwner && !slices.Contains(roles, s.tokens[2].name) {
			p.log.Warn("a setting of a role that the server lacks is left out", zap.String("role", s.tokens[2].name))
			continue
		}
		sql, ok := renameDatabase(&s, a.database.name, p.conn.Database)
		if !ok {
			p.log.Warn("a statement about the database is not understood and left out", zap.String("statement", s.text))
			continue
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return p.advise(fmt.Errorf("%s: %w", sql, err))
		}
	}
	if try {
		return nil
	}
	return tx.Commit(ctx)
}

// renameDatabase puts another name into a statement about a database. It refuses
// all statements but those that pg_dump writes for one.
func renameDatabase(s *pgStatement, from, to string) (string, bool) {
	at := -1
	switch {
	case s.begins("SET", "SESSION", "AUTHORIZATION"), s.begins("RESET", "SESSION", "AUTHORIZATION"):
		return s.text, true
	case s.begins("ALTER", "DATABASE"), s.begins("CREATE", "DATABASE"):
		at = 2
	case s.begins("COMMENT", "ON", "DATABASE"):
		at = 3
	case s.begins("ALTER", "ROLE", "*", "IN", "DATABASE"):
		at = 5
	case s.begins("SECURITY", "LABEL", "FOR", "*", "ON", "DATABASE"):
		at = 6
	case s.begins("GRANT"), s.begins("REVOKE"):
		for i := range s.tokens {
			if s.word(i) == "ON" && s.word(i+1) == "DATABASE" {
				at = i + 2
				break
			}
		}
	}
	if at < 0 || at >= len(s.tokens) || s.tokens[at].name != from {
		return "", false
	}
	return s.replace(at, to), true
}

// dropDatabase removes the database that this restore made, and says so.
func (p *Postgres) dropDatabase(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pgDatabaseTime)
	defer cancel()
	name := pgName(p.conn.Database)
	db, err := p.connectMaintenance(ctx)
	if err == nil {
		defer db.close()
		sql := "DROP DATABASE " + pgIdent(p.conn.Database)
		if db.release >= 1300 {
			sql += " WITH (FORCE)"
		}
		_, err = db.Exec(ctx, sql)
	}
	if err != nil {
		return fmt.Errorf("%w; the database %s, which this restore made, could not be dropped (%w): it is not complete, drop it", cause, name, err)
	}
	return fmt.Errorf("%w; the database %s, which this restore made, was dropped again", cause, name)
}

// connectMaintenance opens a session in a database that every server has.
func (p *Postgres) connectMaintenance(ctx context.Context) (*pgDB, error) {
	db, err := p.connect(ctx, "postgres")
	if err != nil && pgCode(err) != "" && ctx.Err() == nil {
		if other, oerr := p.connect(ctx, "template1"); oerr == nil {
			return other, nil
		}
	}
	return db, err
}

// roles are the names of the server's roles.
func (db *pgDB) roles(ctx context.Context) ([]string, error) {
	names, err := db.list(ctx, "SELECT rolname::text FROM pg_catalog.pg_roles ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("listing the server's roles: %w", err)
	}
	return names, nil
}

// pgList writes names for people.
func pgList(names []string, limit int) string {
	list := make([]string, 0, limit)
	for _, n := range names[:min(len(names), limit)] {
		list = append(list, pgName(n))
	}
	text := strings.Join(list, ", ")
	if more := len(names) - limit; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
