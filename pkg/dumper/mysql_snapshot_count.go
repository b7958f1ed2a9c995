package dumper

import (
	"bytes"
	"strings"
)

// mysqlRows counts the rows of each table in a dump as it goes by. It follows the
// INSERT statements byte by byte: quotes, with what is escaped in them, and
// parentheses. A dump writes strings escaped with "\", whatever the server's
// sql_mode is, since its session has none.
type mysqlRows struct {
	tables map[string]*mysqlHeld // by name

	state mysqlRowsState
	line  []byte // of a line that is no INSERT, its beginning; of an INSERT, the name
	held  *mysqlHeld
	depth int
}

// mysqlHeld is what went by of a table.
type mysqlHeld struct {
	rows, bytes int64
}

type mysqlRowsState int

const (
	rowsLine    mysqlRowsState = iota // at the beginning of a line, which is kept
	rowsSkip                          // in a line that says nothing
	rowsName                          // in the name of an INSERT's table
	rowsNameEnd                       // behind a "`" in it, which ends it or begins a second
	rowsColumns                       // before VALUES
	rowsColumn                        // in the quoted name of a column
	rowsValues                        // behind VALUES
	rowsString                        // in a string
	rowsEscape                        // in a string, behind a "\"
)

const (
	mysqlInsert  = "INSERT INTO `"
	mysqlDumping = "-- Dumping data for table `"
	// mysqlRowsLine is longer than the comment that names any table.
	mysqlRowsLine = 1 << 10
)

func newMySQLRows() *mysqlRows { return &mysqlRows{tables: map[string]*mysqlHeld{}} }

// Write never fails.
func (c *mysqlRows) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		i += c.step(p[i:])
	}
	return len(p), nil
}

// step takes one byte, or several that mean nothing.
func (c *mysqlRows) step(p []byte) int {
	n := 1
	switch b := p[0]; c.state {
	case rowsLine:
		c.begin(b)
	case rowsSkip:
		if n = bytes.IndexByte(p, '\n') + 1; n == 0 {
			return len(p)
		}
		c.state = rowsLine
	case rowsName, rowsNameEnd:
		c.name(b)
	case rowsColumns:
		c.column(b)
	case rowsColumn:
		if b == '`' {
			c.state = rowsColumns
		}
	case rowsString:
		n = c.text(p)
	case rowsEscape:
		c.state = rowsString
	case rowsValues:
		c.value(b)
	}
	if c.held != nil {
		c.held.bytes += int64(n)
	}
	return n
}

// begin is in a line of which it is not known yet what it is.
func (c *mysqlRows) begin(b byte) {
	if b == '\n' {
		c.dumping(string(c.line))
		c.line = c.line[:0]
		return
	}
	c.line = append(c.line, b)
	switch {
	case len(c.line) == len(mysqlInsert) && string(c.line) == mysqlInsert:
		c.state, c.line = rowsName, c.line[:0]
	case len(c.line) <= len(mysqlInsert) && strings.HasPrefix(mysqlInsert, string(c.line)):
	case len(c.line) <= len(mysqlDumping) && strings.HasPrefix(mysqlDumping, string(c.line)):
	case len(c.line) < mysqlRowsLine && strings.HasPrefix(string(c.line[:min(len(c.line), len(mysqlDumping))]), mysqlDumping):
	default:
		c.state, c.line = rowsSkip, c.line[:0]
	}
}

// dumping notes a table that is dumped, though it may have no rows.
func (c *mysqlRows) dumping(line string) {
	if name, ok := strings.CutPrefix(line, mysqlDumping); ok && strings.HasSuffix(name, "`") {
		c.of(unquoteMySQLName("`" + name))
	}
}

func (c *mysqlRows) of(name string) *mysqlHeld {
	if c.tables[name] == nil {
		c.tables[name] = &mysqlHeld{}
	}
	return c.tables[name]
}

func (c *mysqlRows) name(b byte) {
	switch {
	case c.state == rowsName && b == '`':
		c.state = rowsNameEnd
	case c.state == rowsName:
		c.line = append(c.line, b)
	case b == '`':
		c.line = append(c.line, b)
		c.state = rowsName
	default:
		c.held = c.of(string(c.line))
		c.state, c.line, c.depth = rowsColumns, c.line[:0], 0
		c.column(b)
	}
}

// column waits for the word VALUES, outside of the list of columns.
func (c *mysqlRows) column(b byte) {
	switch b {
	case '`':
		c.state = rowsColumn
	case '(':
		c.depth++
	case ')':
		c.depth--
	case 'V':
		if c.depth == 0 {
			c.state = rowsValues
		}
	}
}

func (c *mysqlRows) value(b byte) {
	switch b {
	case '\'':
		c.state = rowsString
	case '(':
		if c.depth == 0 {
			c.held.rows++
		}
		c.depth++
	case ')':
		c.depth--
	case ';':
		if c.depth == 0 {
			c.state, c.held = rowsSkip, nil
		}
	}
}

// text passes over what is in a string. Of a doubled quote, the second begins
// another string.
func (c *mysqlRows) text(p []byte) int {
	for i, b := range p {
		switch b {
		case '\'':
			c.state = rowsValues
			return i + 1
		case '\\':
			c.state = rowsEscape
			return i + 1
		}
	}
	return len(p)
}
