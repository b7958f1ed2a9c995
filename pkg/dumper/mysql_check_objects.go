package dumper

import (
	"context"
	"fmt"
)

// checkRights looks at what the dump itself looks at before it starts.
func (m *MySQL) checkRights(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	missing, err := m.missingRights(ctx, s)
	if err == nil && len(missing) == 0 {
		missing = []Finding{{Level: OK, Subject: "rights", Message: "every table, view, routine, trigger and event is shown to " + s.server.account}}
	}
	return missing, err
}

// checkTables names each table that the account sees but may not read.
func (m *MySQL) checkTables(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	grants, err := s.grants(ctx)
	if err != nil || rightsOn(grants, m.conn.Database, s.server.fold).has("SELECT") {
		return nil, err
	}
	tables, err := s.column(ctx, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE <> 'VIEW' ORDER BY 1", m.conn.Database)
	if err != nil {
		return nil, err
	}
	var closed []string
	for _, name := range tables {
		_, err := s.rows(ctx, "SELECT * FROM "+m.qualify(name)+" LIMIT 0")
		if err != nil && !isDenied(err) {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		if err != nil {
			closed = append(closed, name)
		}
	}
	return list(closed, func(name string) Finding {
		return Finding{
			Fail, "table " + name, "the account may not read all of it",
			fmt.Sprintf("GRANT SELECT ON %s TO %s;", m.qualify(name), quoteMySQLAccount(s.server.account)),
		}
	}), nil
}

func (m *MySQL) qualify(name string) string {
	return quoteMySQLName(m.conn.Database) + "." + quoteMySQLName(name)
}

// checkEngines names each table that a snapshot does not hold still.
func (m *MySQL) checkEngines(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	rows, err := s.rows(ctx, "SELECT t.TABLE_NAME, t.ENGINE FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE "+
		"WHERE t.TABLE_SCHEMA = ? AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES' ORDER BY 1", m.conn.Database)
	engines := map[string]string{}
	var names []string
	for _, r := range rows {
		engines[r[0]] = r[1]
		names = append(names, r[0])
	}
	return list(names, func(name string) Finding {
		return Finding{
			Warn, "table " + name, "its engine, " + engines[name] + ", has no transactions: what changes during the dump may not fit the rest",
			"ALTER TABLE " + m.qualify(name) + " ENGINE = InnoDB;",
		}
	}), err
}

// checkViews asks of each view what the dump program asks.
func (m *MySQL) checkViews(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	views, err := s.views(ctx, m.conn.Database)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	var bad []string
	for _, name := range views {
		_, err := s.rows(ctx, "SHOW CREATE VIEW "+m.qualify(name))
		if err == nil {
			_, err = s.rows(ctx, "SHOW FIELDS FROM "+m.qualify(name))
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			reasons[name] = err.Error()
			bad = append(bad, name)
		}
	}
	return list(bad, func(name string) Finding {
		return Finding{
			Fail, "view " + name, "it cannot be dumped: " + reasons[name],
			"repair the view, or DROP VIEW " + m.qualify(name) + ";",
		}
	}), nil
}

// checkRoutines names each routine whose body the account may not see.
func (m *MySQL) checkRoutines(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	if m.leftOut("routines") {
		return nil, nil
	}
	names, err := s.column(ctx, "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? AND ROUTINE_DEFINITION IS NULL "+
		"AND COALESCE(EXTERNAL_LANGUAGE, 'SQL') = 'SQL' ORDER BY 1", m.conn.Database)
	privilege, on := routineRight(s.server)
	return list(names, func(name string) Finding {
		return Finding{
			Fail, "routine " + name, "the account may not see its body",
			fmt.Sprintf("GRANT %s ON %s TO %s;", privilege, on, quoteMySQLAccount(s.server.account)),
		}
	}), err
}

// checkLabels names each column whose definition the server cannot give back: it
// writes "?" for what is not in three bytes of UTF-8, such as an emoji. A restore
// then silently empties the rows that have that label.
func (m *MySQL) checkLabels(ctx context.Context, s *mysqlSession) ([]Finding, error) {
	rows, err := s.rows(ctx, "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? "+
		"AND DATA_TYPE IN ('enum', 'set') AND COLUMN_TYPE LIKE '%?%' ORDER BY 1, 2", m.conn.Database)
	var names []string
	for _, r := range rows {
		names = append(names, r[0]+"."+r[1])
	}
	return list(names, func(name string) Finding {
		return Finding{
			Warn, "column " + name, "the server shows a label of it with \"?\": if that stands for an emoji or another character of four bytes, " +
				"rows with it are in the dump, but a restore empties them",
			"give the column labels without such characters",
		}
	}), err
}
