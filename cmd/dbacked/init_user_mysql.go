package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// mysqlUser makes a user of MySQL or MariaDB.
type mysqlUser struct {
	name, database string

	host    string // where the server sees us come from
	maria   bool
	version [3]int
	literal bool // names in GRANT are no patterns
}

func (u *mysqlUser) look(ctx context.Context, run sqlRunner) (database, exists bool, err error) {
	rows, err := run(ctx, u.database, fmt.Sprintf(`SELECT SUBSTRING_INDEX(USER(), '@', -1), CONCAT(VERSION(), ' ', @@version_comment),
		(SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s),
		(SELECT COUNT(*) FROM mysql.user WHERE User = %s AND Host = SUBSTRING_INDEX(USER(), '@', -1))`, mysqlText(u.database), mysqlText(u.name)))
	if err != nil || len(rows) != 1 {
		return false, false, err
	}
	r := rows[0]
	u.host, u.maria, u.version = r[0], strings.Contains(strings.ToLower(r[1]), "mariadb"), versionOf(r[1])
	database, exists = r[2] != "0", r[3] != "0"
	rows, err = run(ctx, u.database, "SHOW VARIABLES LIKE 'partial_revokes'")
	u.literal = len(rows) == 1 && rows[0][1] == "ON"
	return database, exists, err
}

func versionOf(text string) (version [3]int) {
	text, _, _ = strings.Cut(text, " ")
	text, _, _ = strings.Cut(text, "-")
	for i, part := range strings.SplitN(text, ".", 3) {
		version[i], _ = strconv.Atoi(part)
	}
	return version
}

func (u *mysqlUser) atLeast(version ...int) bool {
	for i, n := range version {
		if u.version[i] != n {
			return u.version[i] > n
		}
	}
	return true
}

func (u *mysqlUser) account() string { return mysqlText(u.name) + "@" + mysqlText(u.host) }

func (u *mysqlUser) create(password string) []statement {
	sql := "CREATE USER " + u.account() + " IDENTIFIED BY "
	return []statement{{sql + mysqlText(password), sql + "'…'"}}
}

func (u *mysqlUser) password(password string) []statement {
	sql := "ALTER USER " + u.account() + " IDENTIFIED BY "
	return []statement{{sql + mysqlText(password), sql + "'…'"}}
}

// grants are what the dump reads, as its preflight demands: tables and views,
// how views, triggers and events are made, and the bodies of routines, for which
// each kind of server has another right.
func (u *mysqlUser) grants() []statement {
	all := u.pattern() + ".*"
	rights := "SELECT, SHOW VIEW, TRIGGER, EVENT"
	var routines string
	switch {
	case u.maria && u.atLeast(11, 3):
		rights += ", SHOW CREATE ROUTINE"
	case u.maria:
		routines = "SELECT ON mysql.proc"
	case u.atLeast(8, 0, 20):
		routines = "SHOW_ROUTINE ON *.*"
	default:
		routines = "SELECT ON *.*"
	}
	out := plain("GRANT " + rights + " ON " + all + " TO " + u.account())
	if routines != "" {
		out = append(out, plain("GRANT "+routines+" TO "+u.account())...)
	}
	return out
}

func (u *mysqlUser) remove() []string { return []string{"DROP USER " + u.account()} }

// pattern is the database as GRANT takes it: "_" and "%" stand for others,
// unless the server knows exceptions to global rights.
func (u *mysqlUser) pattern() string {
	name := u.database
	if !u.literal {
		name = strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(name)
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func mysqlText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
