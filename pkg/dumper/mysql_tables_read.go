package dumper

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

const (
	// mysqlTextSize bounds the definition of one table or trigger.
	mysqlTextSize = 1 << 20
	// mysqlSetSize bounds a statement that sets the session, of which so many are kept.
	mysqlSetSize  = 64 << 10
	mysqlMostSets = 64
)

// mysqlDefined is what a dump says of tables as it goes by.
type mysqlDefined struct {
	// wanted says of which tables the definitions are kept; nil: of none.
	wanted func(table string) bool

	header   []string          // what sets the session, at the beginning
	tables   map[string]string // CREATE TABLE by the table's name; "" if it is not kept
	views    map[string]bool
	triggers []mysqlTrigger // of wanted tables
	untold   []string       // names of triggers of which it is not plain whose they are
	rows     *mysqlRows     // of the INSERT statements

	begun bool     // the header, which is that of the first dump, has ended
	sets  []string // since the last statement that sets nothing
	kept  int      // bytes
}

func newMySQLDefined(wanted func(string) bool) *mysqlDefined {
	return &mysqlDefined{wanted: wanted, tables: map[string]string{}, views: map[string]bool{}, rows: newMySQLRows()}
}

const mysqlAnyName = "(`(?:[^`]|``)*`)"

var (
	mysqlCreateTable = regexp.MustCompile("\\ACREATE TABLE (?:IF NOT EXISTS )?" + mysqlAnyName + " \\(")
	mysqlViewHead    = regexp.MustCompile("\\A/\\*!50001 (?:DROP VIEW IF EXISTS|CREATE VIEW) " + mysqlAnyName)
	mysqlCreateHead  = regexp.MustCompile(`\A(?:/\*!\d+ )?CREATE\b`)
	mysqlSetHead     = regexp.MustCompile(`\A/\*M?!\d+ SET `)
	mysqlInsertHead  = regexp.MustCompile("\\A(?:INSERT(?: +DELAYED)?(?: +IGNORE)?|REPLACE(?: +DELAYED)?) +INTO +" + mysqlAnyName)
	mysqlInsertWord  = regexp.MustCompile(`\A(?i:INSERT|REPLACE|LOAD)\b`)
)

// read reads a dump to its end.
func (d *mysqlDefined) read(s *mysqlStatements) error {
	d.sets = nil
	for {
		head, err := s.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = d.statement(s, head)
		}
		if err != nil {
			return err
		}
	}
}

func (d *mysqlDefined) statement(s *mysqlStatements, head []byte) error {
	if mysqlSetHead.Match(head) {
		return d.set(s)
	}
	sets := d.sets
	d.begun, d.sets = true, nil
	switch {
	case s.special():
		if mysqlCreateHead.Match(head) {
			return d.trigger(s, sets)
		}
	case mysqlInsertWord.Match(head):
		return copyInsert(s, head, func(string) io.Writer { return d.rows })
	default:
		if match := mysqlViewHead.FindSubmatch(head); match != nil {
			d.views[unquoteMySQLName(string(match[1]))] = true
			break
		}
		if match := mysqlCreateTable.FindSubmatch(head); match != nil {
			return d.table(s, unquoteMySQLName(string(match[1])))
		}
	}
	return s.copy(io.Discard)
}

// copyInsert gives a statement that adds rows, as a plain INSERT, to the writer for
// its table, if there is one.
func copyInsert(s *mysqlStatements, head []byte, to func(table string) io.Writer) error {
	match := mysqlInsertHead.FindSubmatch(head)
	if match == nil {
		return errors.New("the dump has a statement that adds rows to a table that cannot be told: restore all of it, into another database, and copy the table from there")
	}
	quoted := string(match[1])
	w := to(unquoteMySQLName(quoted))
	if w == nil {
		return s.copy(io.Discard)
	}
	s.r.Discard(len(match[0])) // it was peeked at
	if _, err := io.WriteString(w, "INSERT INTO "+quoted); err != nil {
		return err
	}
	if err := s.copy(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, ";\n")
	return err
}

// set keeps a statement that sets the session: it belongs to the header, or to a
// trigger that follows.
func (d *mysqlDefined) set(s *mysqlStatements) error {
	text, err := d.text(s, mysqlSetSize)
	if err != nil {
		return err
	}
	if mysqlSaves.MatchString(text) { // what comes before restores the session, or is the header
		d.begun, d.sets = true, nil
	}
	if !d.begun && len(d.header) < mysqlMostSets {
		d.header = append(d.header, text)
	}
	if len(d.sets) < mysqlMostSets {
		d.sets = append(d.sets, text)
	}
	return nil
}

// mysqlSaves is the first of the statements that set the session for an object.
var mysqlSaves = regexp.MustCompile(`\A/\*!\d+ SET @saved_cs_client +=`)

func (d *mysqlDefined) table(s *mysqlStatements, name string) error {
	d.tables[name] = ""
	if d.wanted == nil || !d.wanted(name) {
		return s.copy(io.Discard)
	}
	text, err := d.text(s, mysqlTextSize)
	if err != nil {
		return fmt.Errorf("reading the definition of the table %s: %w", name, err)
	}
	d.tables[name] = text
	return d.keep(text)
}

// trigger keeps a trigger of a wanted table.
func (d *mysqlDefined) trigger(s *mysqlStatements, sets []string) error {
	b := &mysqlText{most: mysqlTextSize}
	if err := s.copy(b); err != nil {
		return err
	}
	text := b.String()
	kind, l := mysqlKind(text)
	if d.wanted == nil || kind != "" && kind != "TRIGGER" {
		return nil
	}
	t, ok := mysqlTrigger{}, false
	if kind != "" {
		t, ok = tellTrigger(l)
	}
	if !ok || b.cut {
		d.untold = append(d.untold, cmp.Or(t.name, "of an unknown name"))
		return nil
	}
	if !d.wanted(t.table) && !d.wanted(strings.ToLower(t.table)) { // the latter where names have no case
		return nil
	}
	t.session = sets
	d.triggers = append(d.triggers, t)
	return d.keep(text)
}

// text is a statement that must not be longer than so.
func (d *mysqlDefined) text(s *mysqlStatements, most int) (string, error) {
	b := &mysqlText{most: most}
	if err := s.copy(b); err != nil {
		return "", err
	}
	if b.cut {
		return "", fmt.Errorf("a statement has more than %d KiB", most>>10)
	}
	return b.String(), nil
}

func (d *mysqlDefined) keep(text string) error {
	if d.kept += len(text); d.kept > mysqlSchemaSize {
		return fmt.Errorf("the definitions of the tables have more than %d MiB: name fewer of them", mysqlSchemaSize>>20)
	}
	return nil
}

// mysqlText keeps what is written to it, up to a size.
type mysqlText struct {
	bytes.Buffer
	most int
	cut  bool
}

func (t *mysqlText) Write(p []byte) (int, error) {
	room := t.most - t.Len()
	if room < len(p) {
		t.cut = true
	}
	t.Buffer.Write(p[:min(room, len(p))])
	return len(p), nil
}

// ReadMySQLTables reads a dump of MySQL or MariaDB to its end, and counts the rows of
// each table.
func ReadMySQLTables(r io.Reader) ([]TableContent, error) {
	stream, err := newMySQLStream(r)
	if err != nil {
		return nil, err
	}
	d := newMySQLDefined(nil)
	if err := d.read(newMySQLStatements(stream)); err != nil {
		return nil, err
	}
	var tables []TableContent
	for name := range d.names() {
		t := TableContent{Table: name, Part: wholePart}
		if held := d.rows.tables[name]; held != nil {
			t.Rows, t.Bytes = held.rows, held.bytes
		}
		tables = append(tables, t)
	}
	slices.SortFunc(tables, func(a, b TableContent) int { return strings.Compare(a.Table, b.Table) })
	return tables, nil
}

// names are all tables of the dump.
func (d *mysqlDefined) names() map[string]bool {
	names := map[string]bool{}
	for name := range d.tables {
		names[name] = true
	}
	for name := range d.rows.tables {
		names[name] = true
	}
	for name := range d.views { // older programs make a table in its place meanwhile
		delete(names, name)
	}
	return names
}
