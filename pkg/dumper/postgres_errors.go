package dumper

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgHint says what to do about a message of a tool or the server. In fix, $1 is
// the first group of the pattern, {role} the role that connects.
type pgHint struct {
	pattern *regexp.Regexp
	fix     string
}

// pgHints are looked through in order.
func pgHints() []pgHint {
	hint := func(pattern, fix string) pgHint { return pgHint{regexp.MustCompile(pattern), fix} }
	return []pgHint{
		hint(`permission denied for large object (\d+)`, `GRANT SELECT ON LARGE OBJECT $1 TO {role}, or give it the database's owner`),
		hint(`permission denied for schema ("[^\n]*"|\S+)`, `GRANT USAGE ON SCHEMA $1 TO {role}, or since PostgreSQL 14 GRANT pg_read_all_data TO {role}`),
		hint(`permission denied for sequence ("[^\n]*"|\S+)`, `GRANT SELECT ON SEQUENCE $1 TO {role}, or since PostgreSQL 14 GRANT pg_read_all_data TO {role}`),
		hint(`failed to get data for sequence ("[^\n]*?");`, `GRANT SELECT ON SEQUENCE $1 TO {role}, or since PostgreSQL 14 GRANT pg_read_all_data TO {role}`),
		hint(`permission denied for (?:table|relation|view|materialized view|foreign table) ("[^\n]*"|\S+)`, `GRANT SELECT ON TABLE $1 TO {role}, or since PostgreSQL 14 GRANT pg_read_all_data TO {role}`),
		hint(`must be owner of`, `restore as the owner or as a superuser, or into an empty database`),
		hint(`row-level security policy for table "([^\n]*)"`, `a policy would hide rows of $1 from the backup: ALTER ROLE {role} BYPASSRLS, or dump as the table's owner`),
		hint(`no password supplied`, `the server wants a password: set DBACKED_DB_PASSWORD`),
		hint(`(?:password|SCRAM|PAM|LDAP|RADIUS|peer|ident) authentication failed`, `check DBACKED_DB_USERNAME and DBACKED_DB_PASSWORD, and the server's pg_hba.conf`),
		hint(`no pg_hba\.conf entry`, `the server's pg_hba.conf lets {role} in neither from this host nor with this encryption`),
		hint(`server version mismatch`, `install the client package of the server's version, or name its folder in DBACKED_TOOLS_PATH`),
		hint(`cannot drop .* because other objects depend on it`, `the target holds objects that the dump does not know: restore into a new database (--create with another --db-name)`),
		hint(`insert or update on table .* violates foreign key constraint`, `rows that the table refers to are not there: restore the table that had them as well, before or with it (--table), or restore into another --db-name, where that foreign key is left out`),
		hint(`cannot truncate a table referenced in a foreign key constraint`, `restore the tables that refer to it as well (--table for each of them), or drop their foreign keys first`),
		hint(`tablespace "([^\n]*)" does not exist`, `the target lacks the tablespace $1: make it with CREATE TABLESPACE`),
		hint(`max_locks_per_transaction`, `raise max_locks_per_transaction on the server and restart it, or let dbacked make the database (--create), which needs no single transaction`),
		hint(`"transaction_timeout"`, `this pg_restore is newer than the server: install the package postgresql-client of the server's version`),
		hint(`could not resize shared memory|No space left on device`, `the server's disk is full`),
		hint(`terminating connection due to administrator command|server closed the connection|connection to server .* lost|shutting down|in recovery mode|starting up`, `the server stopped or restarted: see its log, then run this again`),
		hint(`FATAL: +role "([^\n]*)" does not exist`, `the server has no role $1 to connect as: CREATE ROLE "$1" LOGIN, or set DBACKED_DB_USERNAME to one it has`),
		hint(`role "([^\n]*)" does not exist`, `the target lacks the role $1: make it (without login is enough), or restore with --no-owner --no-privileges if no policy names it`),
		hint(`Connection refused|could not translate host name|No route to host|timeout expired|connection refused|no such host|no answer within`, `check DBACKED_DB_HOST and DBACKED_DB_PORT, and that the server runs`),
		hint(`could not open extension control file|extension "([^\n]*)" is not available`, `install the extension's package on the server`),
	}
}

// pgAdvise is what to do about a message, or "".
func (p *Postgres) pgAdvise(message string) string {
	user := p.conn.Username
	if user == "" {
		user = "the role that connects"
	} else {
		user = pgName(user)
	}
	for _, h := range pgHints() {
		if m := h.pattern.FindStringSubmatchIndex(message); m != nil {
			fix := strings.ReplaceAll(h.fix, "{role}", strings.ReplaceAll(user, "$", "$$"))
			return string(h.pattern.ExpandString(nil, fix, message, m))
		}
	}
	return ""
}

// pgAdvice is an error with what to do about it.
type pgAdvice struct {
	err error
	fix string
}

func (e *pgAdvice) Error() string { return e.err.Error() + "; what to do: " + e.fix }
func (e *pgAdvice) Unwrap() error { return e.err }

// advise adds what to do to an error, if that is known.
func (p *Postgres) advise(err error) error {
	if fix := p.pgAdvise(err.Error()); fix != "" {
		return &pgAdvice{err, fix}
	}
	return err
}

// explainConnect says why there is no session.
func (p *Postgres) explainConnect(ctx context.Context, err error, database string) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
		if errors.Is(cause, context.Canceled) {
			return cause
		}
	} else if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		err = said // the server answered: what was tried on the way matters no more
	} else {
		err = &pgOneLine{err}
	}
	return p.advise(fmt.Errorf("connecting to the PostgreSQL database %s: %w", pgName(database), err))
}

// pgOneLine is an error that lists what was tried, without its line breaks.
type pgOneLine struct{ error }

func (e *pgOneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e *pgOneLine) Unwrap() error { return e.error }

// explainDump adds what to do to an error of pg_dump.
func (p *Postgres) explainDump(ctx context.Context, err error) error {
	exit, ok := errors.AsType[*ExitError](err)
	if !ok {
		return err
	}
	if pgLockTimeout(exit) {
		return &pgAdvice{err, fmt.Sprintf("a table was locked for longer than %s: %s; run the backup when no migration runs, or raise DBACKED_LOCK_TIMEOUT",
			p.limits.Lock, p.lockHolders(ctx))}
	}
	return p.advise(err)
}

// pgLockTimeout says whether pg_dump gave up waiting for a table's lock.
func pgLockTimeout(exit *ExitError) bool {
	return strings.Contains(exit.Stderr, "LOCK TABLE") && strings.Contains(exit.Stderr, "timeout")
}

// lockHolders says which sessions keep pg_dump from a table, as far as it can be
// seen afterwards.
func (p *Postgres) lockHolders(ctx context.Context) string {
	const unknown = "who held the lock could not be seen"
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return unknown
	}
	defer db.close()
	holders, err := db.list(ctx, `SELECT format('table %I.%I is locked by process %s (user %s, application %s, in a transaction since %s)',
			n.nspname, c.relname, l.pid, coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), '?'), coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'), '?'))
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S')
		AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
		ORDER BY 1 LIMIT 3`)
	if err != nil || len(holders) == 0 {
		return unknown
	}
	return strings.Join(holders, "; ")
}
