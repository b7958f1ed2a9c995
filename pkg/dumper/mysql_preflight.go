package dumper

import (
	"context"
	"fmt"
	"strings"
)

// preflight fails if the dump could not hold the whole database.
//
// What an account has no right on, the server does not even name to it, and the
// dump programs then leave it out and end with status 0. So it is not objects
// that are compared but rights: those on the whole database, without which
// nothing proves that nothing is hidden.
func (m *MySQL) preflight(ctx context.Context, s *mysqlSession, t mysqlTool) error {
	missing, err := m.missingRights(ctx, s)
	if err != nil {
		return m.explain(fmt.Errorf("looking at what the account may read: %w", err))
	}
	broken, err := m.brokenFor(ctx, s, t)
	if err != nil {
		return m.explain(err)
	}
	if missing = append(missing, broken...); len(missing) == 0 {
		return nil
	}
	lines := make([]string, len(missing))
	for i, f := range missing {
		lines[i] = fmt.Sprintf("%s: %s (%s)", f.Subject, f.Message, f.Fix)
	}
	return fmt.Errorf("the dump of database %q would not be whole: %s", m.conn.Database, strings.Join(lines, "; "))
}

// missingRights are the rights that the account lacks, each with the GRANT.
func (m *MySQL) missingRights(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	grants, err := s.grants(ctx)
	if err != nil {
		return nil, err
	}
	rights := rightsOn(grants, m.conn.Database, s.server.fold)
	var out []Finding
	lack := func(subject, message, privilege, on string) {
		out = append(out, Finding{Fail, subject, message, fmt.Sprintf("GRANT %s ON %s TO %s;", privilege, on, quoteMySQLAccount(s.server.account))})
	}
	all := quoteMySQLName(m.conn.Database) + ".*"
	if !rights.has("SELECT") {
		lack("tables", "the account may not read all tables, so that others may be hidden from it", "SELECT", all)
	}
	if !rights.has("TRIGGER") && !m.leftOut("triggers") {
		lack("triggers", "the account may not see triggers, so that they would be left out", "TRIGGER", all)
	}
	if !rights.has("EVENT") && !m.leftOut("events") {
		lack("events", "the account may not see events, so that they would be left out", "EVENT", all)
	}
	if !rights.has("SHOW VIEW") {
		views, err := s.views(ctx, m.conn.Database)
		if err != nil {
			return nil, err
		}
		if len(views) > 0 {
			lack("views", fmt.Sprintf("the account may not see how view %s is made", views[0]), "SHOW VIEW", all)
		}
	}
	if !m.leftOut("routines") && !seesRoutines(s.server, grants, rights) {
		privilege, on := routineRight(s.server)
		lack("routines", "the account may not see procedures and functions, so that they would be left out", privilege, on)
	}
	return out, nil
}

// seesRoutines says whether every routine of the database is listed to the
// account. Whether it may see their bodies is another question, on whose no the
// dump programs fail.
func seesRoutines(server mysqlServer, grants []mysqlGrant, rights mysqlRights) bool {
	if rights.has("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW CREATE ROUTINE") {
		return true
	}
	for _, g := range grants {
		if g.revoke || g.role {
			continue
		}
		has := func(p string) bool {
			for _, have := range g.privileges {
				if have == p || have == "ALL PRIVILEGES" {
					return true
				}
			}
			return false
		}
		global := g.database == "*"
		mysqlProc := global || g.database == "mysql" && (g.object == "*" || g.object == "proc")
		if !server.maria() && global && (has("SHOW_ROUTINE") || has("SELECT")) || server.maria() && mysqlProc && has("SELECT") {
			return true
		}
	}
	return false
}

// routineRight is the right that shows routines with their bodies.
func routineRight(server mysqlServer) (privilege, on string) {
	switch {
	case server.maria():
		return "SELECT", "mysql.proc"
	case server.version.less(mysqlVersion{8, 0}):
		return "SELECT", "*.*"
	}
	return "SHOW_ROUTINE", "*.*"
}

// brokenFor names what a program is known to dump wrongly from this server.
func (m *MySQL) brokenFor(ctx context.Context, s *mysqlSession, t mysqlTool) ([]Finding, error) {
	if !t.maria || s.server.maria() {
		return nil, nil
	}
	columns, err := s.column(ctx, "SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? "+
		"AND (GENERATION_EXPRESSION <> '' OR EXTRA LIKE '%INVISIBLE%') ORDER BY 1 LIMIT 1", m.conn.Database)
	if err != nil || len(columns) == 0 {
		return nil, err
	}
	return []Finding{{
		Fail, "column " + columns[0],
		"it is generated or invisible, and " + t.String() + " dumps such columns of MySQL so that they cannot be restored",
		"install the package mysql-client (or mysql-client-core) of MySQL " + s.server.version.String() + " or newer",
	}}, nil
}

// views lists the views of a database.
func (s *mysqlSession) views(ctx context.Context, database string) ([]string, error) {
	return s.column(ctx, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'VIEW' ORDER BY 1", database)
}
