package main

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// pgReadAll is the first release with a role that may read everything.
const pgReadAll = 140000

// pgUser makes a role of PostgreSQL.
type pgUser struct {
	name, database string

	version int      // 150018
	schemas []string // before pgReadAll: where rights are given one by one
	owners  []string // whose future tables are to be readable
}

func (u *pgUser) look(ctx context.Context, run sqlRunner) (database, exists bool, err error) {
	rows, err := run(ctx, "template1", fmt.Sprintf(`SELECT current_setting('server_version_num'),
		EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = %s), EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)`,
		pgText(u.database), pgText(u.name)))
	if err != nil || len(rows) != 1 {
		return false, false, err
	}
	database, exists = rows[0][1] == "t", rows[0][2] == "t"
	if u.version == 0 {
		u.version, err = strconv.Atoi(rows[0][0])
	}
	if err != nil || !database || u.version >= pgReadAll {
		return database, exists, err
	}
	rows, err = run(ctx, u.database, `SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`)
	u.schemas = column(rows)
	if err != nil {
		return database, exists, err
	}
	rows, err = run(ctx, u.database, `SELECT DISTINCT pg_catalog.pg_get_userbyid(o) FROM (SELECT relowner o FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'S')
		AND relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema')
		UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database()) q ORDER BY 1`)
	u.owners = column(rows)
	return database, exists, err
}

func column(rows [][]string) []string {
	var out []string
	for _, row := range rows {
		out = append(out, row[0])
	}
	return out
}

func (u *pgUser) create(password string) []statement {
	sql := "CREATE ROLE " + pgIdent(u.name) + " LOGIN"
	if password == "" {
		return plain(sql)
	}
	return []statement{{sql + " PASSWORD " + pgText(scram(password)), sql + " PASSWORD '…'"}}
}

func (u *pgUser) password(password string) []statement {
	sql := "ALTER ROLE " + pgIdent(u.name)
	return []statement{{sql + " PASSWORD " + pgText(scram(password)), sql + " PASSWORD '…'"}}
}

func (u *pgUser) grants() []statement {
	name := pgIdent(u.name)
	out := plain("GRANT CONNECT ON DATABASE " + pgIdent(u.database) + " TO " + name)
	if u.version >= pgReadAll {
		return append(out, plain("GRANT pg_read_all_data TO "+name)...)
	}
	for _, schema := range u.schemas {
		s := pgIdent(schema)
		out = append(out, plain(
			"GRANT USAGE ON SCHEMA "+s+" TO "+name,
			"GRANT SELECT ON ALL TABLES IN SCHEMA "+s+" TO "+name,
			"GRANT SELECT ON ALL SEQUENCES IN SCHEMA "+s+" TO "+name,
		)...)
	}
	for _, owner := range u.owners { // for what is made after this
		o := "ALTER DEFAULT PRIVILEGES FOR ROLE " + pgIdent(owner) + " GRANT "
		out = append(out, plain(o+"USAGE ON SCHEMAS TO "+name, o+"SELECT ON TABLES TO "+name, o+"SELECT ON SEQUENCES TO "+name)...)
	}
	return out
}

func (u *pgUser) remove() []string {
	return []string{"DROP OWNED BY " + pgIdent(u.name), "DROP ROLE " + pgIdent(u.name)}
}

func pgIdent(name string) string { return pgx.Identifier{name}.Sanitize() }

// pgText quotes a text, whatever the server thinks of backslashes.
func pgText(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// scramRounds is PostgreSQL's own number of iterations.
const scramRounds = 4096

// scram is what PostgreSQL keeps of a password (RFC 5803), so that the password
// itself appears in no log of the server.
func scram(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it does not fail
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramRounds, sha256.Size)
	if err != nil || !ascii(password) { // others would have to be prepared as RFC 4013 says
		return password
	}
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramRounds, text(salt), text(stored[:]), text(sum(salted, "Server Key")))
}

func ascii(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
