package dumper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const pgApplication = "dbacked" // how the server's activity view calls the sessions

// pgDefaults completes a connection with the variables that libpq knows, so that
// the tools and this process mean the same server.
func pgDefaults(c Connection, environ []string) Connection {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		field := map[string]*string{
			"PGHOST": &c.Host, "PGUSER": &c.Username, "PGPASSWORD": &c.Password, "PGDATABASE": &c.Database,
			"PGSSLMODE": &c.TLS.Mode, "PGSSLROOTCERT": &c.TLS.CA, "PGSSLCERT": &c.TLS.Cert, "PGSSLKEY": &c.TLS.Key,
		}[name]
		if field != nil && *field == "" {
			*field = value
		}
		if port, err := strconv.Atoi(value); name == "PGPORT" && err == nil && c.Port == 0 {
			c.Port = port
		}
	}
	return c
}

// pgConninfo writes the parameters of a connection, none of which is secret.
type pgConninfo struct{ strings.Builder }

// add writes one parameter, unless it is empty.
func (b *pgConninfo) add(key, value string) {
	if value == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
	fmt.Fprintf(b, "%s='%s'", key, quoted)
}

// conninfo is the connection to a database, for libpq and pgx.
func (p *Postgres) conninfo(database string) *pgConninfo {
	b := &pgConninfo{}
	b.add("host", p.conn.Host)
	if p.conn.Port > 0 {
		b.add("port", strconv.Itoa(p.conn.Port))
	}
	b.add("user", p.conn.Username)
	b.add("dbname", database)
	b.add("sslmode", p.conn.TLS.Mode)
	b.add("sslrootcert", p.conn.TLS.CA)
	b.add("sslcert", p.conn.TLS.Cert)
	b.add("sslkey", p.conn.TLS.Key)
	if p.limits.Connect > 0 {
		// libpq takes whole seconds, and 1 for 2.
		b.add("connect_timeout", strconv.Itoa(max(2, int(math.Ceil(p.limits.Connect.Seconds())))))
	}
	return b
}

// toolConninfo is the connection of a tool, which sees a dead peer by itself.
func (p *Postgres) toolConninfo(database, application string) *pgConninfo {
	b := p.conninfo(database)
	b.add("application_name", application)
	b.add("keepalives", "1")
	b.add("keepalives_idle", "60")
	b.add("keepalives_interval", "10")
	b.add("keepalives_count", "6")
	return b
}

// passfile is the line of a password file that fits every connection.
func (p *Postgres) passfile() ([]byte, error) {
	if p.conn.Password == "" {
		return nil, nil
	}
	if strings.ContainsAny(p.conn.Password, "\n\r\x00") {
		return nil, errors.New("the database's password has a line break, which PostgreSQL's tools cannot take: set another with ALTER ROLE … PASSWORD")
	}
	return []byte("*:*:*:*:" + strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(p.conn.Password) + "\n"), nil
}

// environ is the whole environment of a tool.
func (p *Postgres) environ() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if home, err := os.UserHomeDir(); err == nil {
		env = append(env, "HOME="+home)
	}
	for _, entry := range p.tools.Environ {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "PGPASSWORD", "LANGUAGE": // a secret; another language for messages
		default:
			env = append(env, entry)
		}
	}
	env = append(env, "LC_ALL=C.UTF-8")
	if p.conn.Password != "" {
		env = append(env, "PGPASSFILE="+secretFile)
	}
	return env
}

// pgDB is a session of this process.
type pgDB struct {
	*pgx.Conn
	name    string    // of the database
	user    string    // the current one
	version string    // of the server, as it says it
	release pgRelease // the major one
}

// connect opens a session. The caller closes it.
func (p *Postgres) connect(ctx context.Context, database string) (*pgDB, error) {
	config, err := pgx.ParseConfig(p.conninfo(database).String())
	if err != nil {
		return nil, fmt.Errorf("the settings of the connection to PostgreSQL: %w", err)
	}
	if p.conn.Password != "" {
		config.Password = p.conn.Password
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // works behind a pooler too
	config.RuntimeParams["application_name"] = pgApplication
	for _, entry := range p.tools.Environ {
		if options, ok := strings.CutPrefix(entry, "PGOPTIONS="); ok {
			config.RuntimeParams["options"] = options
		}
	}
	if p.limits.Connect > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.limits.Connect, fmt.Errorf("no answer within %s", p.limits.Connect))
		defer cancel()
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, p.explainConnect(ctx, err, database)
	}
	db := &pgDB{Conn: conn}
	var number int
	// As pg_dump does: nobody's function may stand in for a system one.
	err = conn.QueryRow(ctx, `SELECT current_database(), current_user, pg_catalog.current_setting('server_version'),
		pg_catalog.current_setting('server_version_num')::int4
		FROM pg_catalog.set_config('search_path', '', false) a, pg_catalog.set_config('statement_timeout', '0', false) b`).
		Scan(&db.name, &db.user, &db.version, &number)
	if err != nil {
		db.close()
		return nil, fmt.Errorf("asking the PostgreSQL server for its version: %w", err)
	}
	db.release = pgRelease(number / 100)
	return db, nil
}

func (db *pgDB) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = db.Close(ctx)
}

// list runs a query that has one column of text.
func (db *pgDB) list(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// pgCode is the SQLSTATE of an error, or "".
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
