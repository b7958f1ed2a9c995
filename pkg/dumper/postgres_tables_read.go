package dumper

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// ReadTables reads an archive of pg_dump to its end, and counts the rows of each
// table: -1 of one that pg_dump compressed, or wrote as INSERT statements.
func ReadTables(r io.Reader) ([]TableContent, error) {
	held := newPgHeld(Part{Name: wholePart})
	a, err := openCounted(r, held)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if _, err := io.Copy(io.Discard, a.body); err != nil {
		return nil, err
	}
	var tables []TableContent
	for name, c := range held.tables {
		tables = append(tables, TableContent{Schema: name.schema, Table: name.table, Part: wholePart, Rows: c.rows, Bytes: c.bytes})
	}
	slices.SortFunc(tables, func(a, b TableContent) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Table, b.Table))
	})
	return tables, nil
}
