package dumper

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// mysqlDefinitions is a sum of the definitions of each kind of object.
type mysqlDefinitions map[string][sha256.Size]byte

// definitions looks at how the database's objects are defined now. Of InnoDB's
// tables the number is among it: that of a table which was emptied by TRUNCATE, or
// made anew, is another, and one that was renamed takes its number along.
func (m *MySQL) definitions(ctx context.Context, s *mysqlSession) (mysqlDefinitions, error) {
	sums := mysqlDefinitions{}
	for kind, q := range m.definitionQueries(s.server) {
		rows, err := s.rows(ctx, q.statement, q.of)
		switch {
		case kind == "InnoDB's tables" && isDenied(err):
			return nil, fmt.Errorf("%w: the account may not see whether a table is made anew meanwhile: GRANT PROCESS ON *.* TO %s;", ErrNotShared, quoteMySQLAccount(s.server.account))
		case err != nil:
			return nil, m.explain(fmt.Errorf("looking at the definitions of the %s: %w", kind, err))
		}
		h := sha256.New()
		for _, row := range rows {
			for _, cell := range row {
				fmt.Fprintf(h, "%d:%s", len(cell), cell)
			}
			h.Write([]byte{'\n'})
		}
		sums[kind] = [sha256.Size]byte(h.Sum(nil))
	}
	return sums, nil
}

// changed names a kind of object that is defined otherwise in other, or "".
func (d mysqlDefinitions) changed(other mysqlDefinitions) string {
	for kind, sum := range d {
		if other[kind] != sum {
			return kind
		}
	}
	return ""
}

type mysqlQuery struct{ statement, of string }

func (m *MySQL) definitionQueries(server mysqlServer) map[string]mysqlQuery {
	of := func(columns, table, schema string) mysqlQuery {
		order := make([]string, strings.Count(columns, ",")+1)
		for i := range order {
			order[i] = fmt.Sprint(i + 1)
		}
		return mysqlQuery{"SELECT " + columns + " FROM information_schema." + table + " WHERE " + schema + " = ? ORDER BY " + strings.Join(order, ","), m.conn.Database}
	}
	innodb := "INNODB_TABLES"
	if server.maria() || server.version.less(mysqlVersion{8, 0}) {
		innodb = "INNODB_SYS_TABLES"
	}
	return map[string]mysqlQuery{
		"tables":       of("TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT, CREATE_TIME", "TABLES", "TABLE_SCHEMA"),
		"columns":      of("TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, COLUMN_COMMENT, GENERATION_EXPRESSION", "COLUMNS", "TABLE_SCHEMA"),
		"indexes":      of("TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, NON_UNIQUE, COLUMN_NAME, COLLATION, SUB_PART, INDEX_TYPE, INDEX_COMMENT", "STATISTICS", "TABLE_SCHEMA"),
		"constraints":  of("TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE", "TABLE_CONSTRAINTS", "TABLE_SCHEMA"),
		"foreign keys": of("TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, UNIQUE_CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE", "REFERENTIAL_CONSTRAINTS", "CONSTRAINT_SCHEMA"),
		"partitions":   of("TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, PARTITION_EXPRESSION, PARTITION_DESCRIPTION", "PARTITIONS", "TABLE_SCHEMA"),
		"views":        of("TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE, CHECK_OPTION", "VIEWS", "TABLE_SCHEMA"),
		"triggers":     of("EVENT_OBJECT_TABLE, TRIGGER_NAME, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE, DEFINER, CREATED", "TRIGGERS", "TRIGGER_SCHEMA"),
		"routines":     of("ROUTINE_TYPE, ROUTINE_NAME, ROUTINE_DEFINITION, LAST_ALTERED, SQL_MODE, DEFINER, ROUTINE_COMMENT", "ROUTINES", "ROUTINE_SCHEMA"),
		"events":       of("EVENT_NAME, EVENT_DEFINITION, LAST_ALTERED, STATUS, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, DEFINER", "EVENTS", "EVENT_SCHEMA"),
		"InnoDB's tables": {
			"SELECT NAME, TABLE_ID FROM information_schema." + innodb + " WHERE NAME LIKE ? ORDER BY 1",
			mysqlFileName(m.conn.Database) + "/%",
		},
	}
}

// mysqlFileName is a pattern for the name of a database as InnoDB writes it. What
// it matches beside that can only make a dump give way for nothing.
func mysqlFileName(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			b.WriteRune(r)
		case r == '_':
			b.WriteString(`\_`)
		case r < 0x80:
			fmt.Fprintf(&b, "@%04x", r)
		default:
			b.WriteString("@%")
		}
	}
	return b.String()
}
