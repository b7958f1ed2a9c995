package dumper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// explain adds to an error what can be done about it. An error that came from
// the caller's side is passed as it is.
func (m *MySQL) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	hint := m.hint(mysqlCode(err))
	if _, ok := errors.AsType[*net.OpError](err); ok && hint == "" {
		hint = "check DBACKED_DB_HOST and DBACKED_DB_PORT, and that the server runs"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}

// mysqlCodes finds the server's error number in what a program says:
// "(1045)" from a dump program, "ERROR 1045 (28000)" from a client,
// "Got error: 1045:" from both.
var mysqlCodes = regexp.MustCompile(`\((\d{4})\)|ERROR (\d{4})[: ]|[Ee]rror:? (\d{4})[: ]`)

// mysqlCode is the error's number, or 0.
func mysqlCode(err error) int {
	var server *mysql.MySQLError
	if errors.As(err, &server) {
		return int(server.Number)
	}
	var exit *ExitError
	if !errors.As(err, &exit) {
		return 0
	}
	for _, match := range mysqlCodes.FindAllStringSubmatch(exit.Stderr, -1) {
		for _, digits := range match[1:] {
			if n, _ := strconv.Atoi(digits); n >= 1000 {
				return n
			}
		}
	}
	return 0
}

// hint says what to do about the server's error of a number.
func (m *MySQL) hint(code int) string {
	switch code {
	case 1044, 1142, 1143, 1370:
		return fmt.Sprintf("give the account the right that it lacks, as an administrator: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON %s.* TO …", quoteMySQLName(m.conn.Database))
	case 1045, 1698:
		return fmt.Sprintf("check the user name %q and the password, and that the account may come from this host", m.username())
	case 1049:
		return fmt.Sprintf("there is no database %q on %s, or the account may not see it", m.conn.Database, m.where())
	case 2002, 2003, 2005:
		return fmt.Sprintf("see that the server runs and that %s is its address", m.where())
	case 2006, 2013:
		return "the server ended the connection: it stopped, or it gave up on a reader that paused for longer than net_write_timeout (see SHOW VARIABLES; SET GLOBAL net_write_timeout = 600), or a row is longer than its max_allowed_packet"
	case 2026:
		return "see the TLS settings, DBACKED_DB_TLS…, and the server's certificate"
	case 2059:
		return "the program lacks the plugin by which this account logs in: install the package of the server's own brand"
	}
	return mysqlObjectHint(code)
}

// mysqlObjectHint is hint for errors about objects and statements.
func mysqlObjectHint(code int) string {
	switch code {
	case 1040, 1203:
		return "the server has too many connections: run again later, or raise max_connections"
	case 1146, 1412:
		return "a table was changed while it was dumped, by a migration perhaps: run the backup again"
	case 1153:
		return "a row is longer than the server takes: SET GLOBAL max_allowed_packet = 1073741824, there and in its configuration"
	case 1205:
		return "another session holds the lock: see SHOW FULL PROCESSLIST, run again when it is done, or raise DBACKED_LOCK_TIMEOUT"
	case 1227:
		return "the account may not make objects of another definer: restore as an administrator, or with --no-owner, which makes them the account's own"
	case 1231, 1273:
		return "the dump uses a setting or a collation that this server does not know: restore to a server of the brand and version that was dumped"
	case 1290, 1836:
		return "the server is read-only: restore to the primary"
	case 1356:
		return "a view refers to what is gone, or its definer lacks rights on it: repair it or drop it; \"dbacked check\" names each one"
	case 1418, 1419:
		return "the server logs changes and does not trust functions: SET GLOBAL log_bin_trust_function_creators = 1, or restore as an administrator"
	case 1449:
		return "an object's definer does not exist: create the account, or give the object another definer"
	case 3105, 1906:
		return "the dump was made by MariaDB's program, which writes values for generated columns of MySQL: dump with MySQL's own"
	}
	return ""
}

// quoteMySQLName quotes the name of an object.
func quoteMySQLName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteMySQLAccount quotes "user@host" as 'user'@'host'; a role of MariaDB has
// no host.
func quoteMySQLAccount(account string) string {
	user, host := splitMySQLAccount(account)
	if host == "" {
		return quoteMySQLText(user)
	}
	return quoteMySQLText(user) + "@" + quoteMySQLText(host)
}

func splitMySQLAccount(account string) (user, host string) {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return account, ""
	}
	return account[:at], account[at+1:]
}

// quoteMySQLText quotes a string for a session whose sql_mode has no
// NO_BACKSLASH_ESCAPES.
func quoteMySQLText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}
