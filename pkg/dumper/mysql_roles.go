package dumper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-sql-driver/mysql"
)

const globalsSize = 16 << 20

// MissingRoles lists the accounts of a backup that the server lacks: "app@%".
// The restoring account itself is never among them.
func (m *MySQL) MissingRoles(ctx context.Context, globals io.Reader) ([]string, error) {
	g, err := readGlobalsFrom(globals)
	if err != nil {
		return nil, err
	}
	s, err := m.open(ctx, "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	var wanted []string
	for _, a := range g.Accounts {
		if a.name() != s.server.account {
			wanted = append(wanted, a.name())
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	rows, err := s.rows(ctx, "SELECT User, Host FROM mysql.user")
	if isDenied(err) {
		return nil, fmt.Errorf("whether the server has the backup's accounts (%s, …) cannot be told, since %s may not read its list of users: "+
			"restore as an administrator, or with --no-owner --no-privileges: %w", wanted[0], s.server.account, err)
	}
	if err != nil {
		return nil, m.explain(fmt.Errorf("looking at the server's accounts: %w", err))
	}
	for _, r := range rows {
		name := mysqlAccount{User: r[0], Host: r[1]}.name()
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return w == name })
	}
	return wanted, nil
}

func readGlobalsFrom(r io.Reader) (mysqlGlobals, error) {
	file, err := io.ReadAll(io.LimitReader(r, globalsSize+1))
	if err != nil {
		return mysqlGlobals{}, fmt.Errorf("reading the backup's globals: %w", err)
	}
	if len(file) > globalsSize {
		return mysqlGlobals{}, fmt.Errorf("the backup's globals are larger than %d bytes", globalsSize)
	}
	return readMySQLGlobals(file)
}

// CreateRoles makes accounts of a backup. With RolesNoLogin they are locked and
// have a random password, and get their rights on this database only; with
// RolesFull they are as they were, with their passwords, their rights on the
// whole server and their roles. Rights on single tables come with Restore, since
// the tables do not exist yet.
func (m *MySQL) CreateRoles(ctx context.Context, globals io.Reader, names []string, how RoleMode) error {
	g, err := readGlobalsFrom(globals)
	if err != nil {
		return err
	}
	s, err := m.open(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	accounts := g.named(names)
	for _, a := range accounts {
		statement, err := a.creation(how)
		if err != nil {
			return err
		}
		if err := s.exec(ctx, statement); err != nil {
			return fmt.Errorf("creating account %s: %w", a.name(), withoutStatement(err))
		}
	}
	if err := s.strictGrants(ctx); err != nil {
		return m.explain(fmt.Errorf("granting rights: %w", err))
	}
	for _, a := range accounts {
		for _, statement := range a.rights(how) {
			if statement, err = retarget(statement, g.Database, m.conn.Database); err != nil {
				return err
			}
			if err := s.exec(ctx, statement); err != nil {
				return m.explain(fmt.Errorf("giving account %s its rights (%s): %w", a.name(), statement, err))
			}
		}
	}
	return nil
}

// named are the accounts of some names; roles of MariaDB and what roles of MySQL
// look like come first, so that users can be granted them.
func (g mysqlGlobals) named(names []string) []mysqlAccount {
	var out []mysqlAccount
	for _, a := range g.Accounts {
		if slices.Contains(names, a.name()) {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b mysqlAccount) int { return len(a.Roles) - len(b.Roles) })
	return out
}

// creation is the statement that makes the account.
func (a mysqlAccount) creation(how RoleMode) (string, error) {
	switch {
	case how == RolesFull && a.Create == "":
		return "", fmt.Errorf("the backup does not hold how account %s was made (see its note on users and grants): create it by hand, or restore without --globals", a.name())
	case how == RolesFull:
		return ifMissing(a.Create), nil
	case a.Host == "":
		return "CREATE ROLE IF NOT EXISTS " + quoteMySQLAccount(a.name()), nil
	}
	return "CREATE USER IF NOT EXISTS " + quoteMySQLAccount(a.name()) + " IDENTIFIED BY " + quoteMySQLText(rand.Text()+"-a1") + " ACCOUNT LOCK", nil
}

// rights are the grants that go with it.
func (a mysqlAccount) rights(how RoleMode) []string {
	var out []string
	if how == RolesFull {
		out = append(append(out, a.Global...), a.Roles...)
	}
	return append(out, a.Database...)
}

// withoutStatement is a server's error without its text if that could quote the
// statement, which holds a hash.
func withoutStatement(err error) error {
	var e *mysql.MySQLError
	if errors.As(err, &e) && e.Number == 1064 {
		return errors.New("the server does not understand how it is made: its brand or version differs from the backup's; restore without --globals")
	}
	return err
}
