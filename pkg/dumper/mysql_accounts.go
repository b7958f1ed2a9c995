package dumper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// accounts finds the users and roles that have to do with the database. Where
// the account's rights do not allow it, only definers are known, by name.
func (m *MySQL) accounts(ctx context.Context, s *mysqlSession) (out []mysqlAccount, note string, err error) {
	definers, err := s.definers(ctx, m.conn.Database)
	if err != nil {
		return nil, "", err
	}
	names, err := s.grantees(ctx, m.conn.Database)
	denied := isDenied(err)
	if err != nil && !denied {
		return nil, "", err
	}
	if names, err = s.withRoles(ctx, append(names, definers...), denied); err != nil {
		return nil, "", err
	}
	hidden := 0
	for _, name := range names {
		a := mysqlAccount{Definer: slices.Contains(definers, name)}
		a.User, a.Host = splitMySQLAccount(name)
		if !denied {
			if err := s.describe(ctx, &a, m.conn.Database); err != nil && !isDenied(err) {
				return nil, "", fmt.Errorf("account %s: %w", name, err)
			}
		}
		if a.Create == "" {
			hidden++
		}
		out = append(out, a)
	}
	return out, accountsNote(s.server, denied, hidden), nil
}

func accountsNote(server mysqlServer, denied bool, hidden int) string {
	grant := fmt.Sprintf("GRANT SELECT ON mysql.* TO %s", quoteMySQLAccount(server.account))
	switch {
	case denied:
		return "users, grants and passwords are not in the backup, only the names of definers: for them give " + grant
	case hidden > 0:
		return fmt.Sprintf("users and grants are in the backup, with passwords as hashes, but %d of the accounts do not exist or could not be read: for those give %s", hidden, grant)
	}
	return "users and grants are in the backup, with their passwords as hashes"
}

// isDenied says whether an error is a lack of rights.
func isDenied(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1044 || e.Number == 1142 || e.Number == 1143 || e.Number == 1227 || e.Number == 1410)
}

// isMissing says whether an error is that of an account that does not exist.
func isMissing(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1133 || e.Number == 1141 || e.Number == 1269 || e.Number == 1396 || e.Number == 3162)
}

// definers are the accounts with whose rights objects of a database run.
func (s *mysqlSession) definers(ctx context.Context, database string) ([]string, error) {
	names, err := s.column(ctx, "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ? "+
		"UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? "+
		"UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? "+
		"UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ? ORDER BY 1", database, database, database, database)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "@") // a role of MariaDB
	}
	return names, err
}

// grantees are the accounts with rights on a database or on something in it.
func (s *mysqlSession) grantees(ctx context.Context, database string) ([]string, error) {
	name := database
	if s.server.fold {
		name = strings.ToLower(database)
	}
	rows, err := s.rows(ctx, "SELECT Db, User, Host FROM mysql.db UNION SELECT '', User, Host FROM mysql.tables_priv WHERE Db = ? "+
		"UNION SELECT '', User, Host FROM mysql.columns_priv WHERE Db = ? UNION SELECT '', User, Host FROM mysql.procs_priv WHERE Db = ?", name, name, name)
	var out []string
	for _, r := range rows {
		if r[0] == "" || r[0] == name || matchMySQLPattern(r[0], name) {
			out = append(out, mysqlAccount{User: r[1], Host: r[2]}.name())
		}
	}
	return out, err
}

// withRoles adds to accounts who has one of them as a role, and the roles that
// any of them has. The result is sorted, roles of MariaDB among it.
func (s *mysqlSession) withRoles(ctx context.Context, names []string, denied bool) ([]string, error) {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	query := "SELECT TO_USER, TO_HOST, FROM_USER, FROM_HOST FROM mysql.role_edges"
	if s.server.maria() {
		query = "SELECT User, Host, Role, '' FROM mysql.roles_mapping"
	}
	var edges [][]string
	if !denied {
		var err error
		if edges, err = s.rows(ctx, query); err != nil && !isDenied(err) {
			return nil, err
		}
	}
	for grown := true; grown; { // first upwards: who may come in by a role
		grown = false
		for _, e := range edges {
			member, role := mysqlAccount{User: e[0], Host: e[1]}.name(), mysqlAccount{User: e[2], Host: e[3]}.name()
			if set[role] && !set[member] {
				set[member], grown = true, true
			}
		}
	}
	for grown := true; grown; { // then downwards: what their roles are
		grown = false
		for _, e := range edges {
			member, role := mysqlAccount{User: e[0], Host: e[1]}.name(), mysqlAccount{User: e[2], Host: e[3]}.name()
			if set[member] && !set[role] {
				set[role], grown = true, true
			}
		}
	}
	out := make([]string, 0, len(set))
	for n := range set {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// describe fills in how the account is made and what it may do.
func (s *mysqlSession) describe(ctx context.Context, a *mysqlAccount, database string) error {
	who := quoteMySQLAccount(a.name())
	if s.server.maria() && a.Host == "" {
		a.Create = "CREATE ROLE " + who
	} else {
		if !s.server.maria() { // hashes of MySQL hold any byte
			if err := s.exec(ctx, "SET SESSION print_identified_with_as_hex = ON"); err != nil {
				var e *mysql.MySQLError
				if !errors.As(err, &e) || e.Number != 1193 { // old servers do not know it
					return err
				}
			}
		}
		create, err := s.column(ctx, "SHOW CREATE USER "+who)
		if isMissing(err) {
			return nil // a definer that is gone
		}
		if err != nil {
			return err
		}
		a.Create = create[0]
	}
	lines, err := s.column(ctx, "SHOW GRANTS FOR "+who)
	if isMissing(err) {
		a.Create = ""
		return nil
	}
	for _, line := range lines {
		a.take(line, database, s.server.fold)
	}
	return err
}

// take sorts a line of SHOW GRANTS into the account, without what it may say of
// a password.
func (a *mysqlAccount) take(line, database string, fold bool) {
	g, err := parseMySQLGrant(line)
	if err != nil || g.revoke {
		if strings.HasPrefix(line, "SET DEFAULT ROLE ") {
			a.Roles = append(a.Roles, line)
		}
		return
	}
	clean := line[:g.end]
	switch {
	case g.role && strings.HasSuffix(line, " WITH ADMIN OPTION"):
		clean += " WITH ADMIN OPTION"
	case strings.HasSuffix(line, " WITH GRANT OPTION"):
		clean += " WITH GRANT OPTION"
	}
	switch {
	case g.role:
		a.Roles = append(a.Roles, clean)
	case g.database == "*":
		if !slices.Equal(g.privileges, []string{"USAGE"}) {
			a.Global = append(a.Global, clean)
		}
	case !g.touches(database, fold):
	case g.object == "*" && !g.onRoutine:
		a.Database = append(a.Database, clean)
	default:
		a.Objects = append(a.Objects, clean)
	}
}
