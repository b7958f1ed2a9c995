package dumper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	mysqlMaxJobs = 16
	// mysqlNames bounds the names on a command line, of which the system takes
	// two MiB with all else.
	mysqlNames = 1 << 20
)

// mysqlTable is a table, a sequence or a view.
type mysqlTable struct {
	name string
	size int64
}

// mysqlTables are what a database has.
type mysqlTables struct {
	base  []mysqlTable // with rows
	views []string
}

// list lists the tables, and refuses those that no transaction holds still.
func (m *MySQL) listTables(ctx context.Context, s *mysqlSession) (tables mysqlTables, err error) {
	rows, err := s.rows(ctx, "SELECT t.TABLE_NAME, t.TABLE_TYPE, COALESCE(t.ENGINE, ''), COALESCE(t.DATA_LENGTH, 0), COALESCE(e.TRANSACTIONS, 'NO') "+
		"FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = ? ORDER BY 1", m.conn.Database)
	if err != nil {
		return tables, fmt.Errorf("listing the tables: %w", err)
	}
	names := 0
	for _, r := range rows {
		names += len(m.conn.Database) + len(r[0]) + len("--ignore-table=.") + 9 // and the pointer to it
		switch r[1] {
		case "VIEW":
			tables.views = append(tables.views, r[0])
			continue
		case "SEQUENCE":
			continue // its value comes with the definitions
		}
		size, _ := strconv.ParseInt(r[3], 10, 64) // a number by its definition
		tables.base = append(tables.base, mysqlTable{name: r[0], size: size})
		if r[4] == "YES" {
			continue
		}
		some, err := s.rows(ctx, "SELECT 1 FROM "+m.qualify(r[0])+" LIMIT 1")
		if err != nil {
			return tables, fmt.Errorf("looking at table %s: %w", r[0], err)
		}
		if len(some) > 0 {
			return tables, fmt.Errorf("%w: the table %s has the engine %s, without transactions, so that no snapshot holds it still: ALTER TABLE %s ENGINE = InnoDB", ErrNotShared, r[0], r[2], m.qualify(r[0]))
		}
	}
	switch {
	case len(tables.base) == 0:
		return tables, fmt.Errorf("%w: it has no tables", ErrNotShared)
	case names > mysqlNames:
		return tables, fmt.Errorf("%w: the names of its %d tables and views are too long for a command line", ErrNotShared, len(rows))
	}
	return tables, nil
}

// share spreads tables over so many parts: each, the largest first, goes to the
// part that has the least. The largest part comes first.
func (t mysqlTables) share(jobs int) [][]mysqlTable {
	sorted := slices.Clone(t.base)
	slices.SortStableFunc(sorted, func(a, b mysqlTable) int { return cmp.Compare(b.size, a.size) })
	parts := make([][]mysqlTable, max(1, min(jobs, len(sorted), mysqlMaxJobs)))
	loads := make([]int64, len(parts))
	for _, table := range sorted {
		least := 0
		for i := range loads {
			if loads[i] < loads[least] {
				least = i
			}
		}
		parts[least] = append(parts[least], table)
		loads[least] += table.size + 1<<10 // an empty table is work too
	}
	slices.SortStableFunc(parts, func(a, b []mysqlTable) int { return cmp.Compare(sizeOf(b), sizeOf(a)) })
	return parts
}

func sizeOf(tables []mysqlTable) (size int64) {
	for _, t := range tables {
		size += t.size
	}
	return size
}

// Splits says whether a Snapshot is worth it: whether a table is as large as o
// says. Where it says no, one stream is as fast.
func (m *MySQL) Splits(ctx context.Context, o SnapshotOptions) (bool, error) {
	if o.Jobs <= 1 {
		return false, nil
	}
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return false, err
	}
	defer s.close()
	found, err := s.column(ctx, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE <> 'VIEW' AND DATA_LENGTH >= ? LIMIT 1", m.conn.Database, cmp.Or(o.Large, largeTable))
	if err != nil {
		return false, m.explain(fmt.Errorf("asking for the sizes of the tables: %w", err))
	}
	return len(found) > 0, nil
}

// holds says whether what went by of a part is exactly its tables. A name with a
// line break is written otherwise where the dump names the table, so that such a
// table is known by its rows alone.
func (c *mysqlRows) holds(part string, tables []mysqlTable) error {
	expected := map[string]bool{}
	for _, t := range tables {
		expected[t.name] = true
		if c.tables[t.name] == nil && !strings.ContainsAny(t.name, "\r\n") {
			return fmt.Errorf("%w: the table %s is not in its part %s", ErrIncomplete, t.name, part)
		}
	}
	for name := range c.tables {
		if !expected[name] {
			return fmt.Errorf("%w: the part %s has the table %s, which is another part's, or was not there", ErrIncomplete, part, name)
		}
	}
	return nil
}
