package dumper

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

const (
	pgMaxJobs = 64 // that a snapshot is cut for
)

// pgParts cuts a database: the definitions, the rows of each large table, and all
// other rows with the large objects and the sequences.
func pgParts(h *pgHolder, o SnapshotOptions) []Part {
	large := pgLargeTables(h, o)
	rest := Part{Name: "data", Size: h.size, args: []string{"--section=data"}}
	var data []Part
	for i, t := range large {
		rest.Size -= t.size
		// Both quoted: nothing in a name is a pattern, and nothing folds its case.
		rest.args = append(rest.args, "--exclude-table-data="+t.ident())
		data = append(data, Part{Name: fmt.Sprintf("data-%d", i+1), Size: t.size, args: []string{"--section=data", "--strict-names", "--table=" + t.ident()}})
	}
	rest.Light = rest.Size < cmp.Or(o.Large, largeTable)
	data = append(data, rest)
	slices.SortStableFunc(data, func(a, b Part) int { return cmp.Compare(b.Size, a.Size) })
	return append([]Part{{Name: "schema", Definitions: true, Light: true, args: []string{"--section=pre-data", "--section=post-data"}}}, data...)
}

// pgLargeTables are those that a part is worth. An extension's tables are not:
// which of their rows are dumped, the extension says.
func pgLargeTables(h *pgHolder, o SnapshotOptions) []pgTable {
	if o.Jobs <= 1 {
		return nil
	}
	least := max(cmp.Or(o.Large, largeTable), h.size/int64(4*min(o.Jobs, pgMaxJobs)))
	var large []pgTable
	for _, t := range h.tables {
		if t.hasRows(h) && !t.extension && t.size >= least {
			large = append(large, t)
		}
	}
	slices.SortStableFunc(large, func(a, b pgTable) int { return cmp.Compare(b.size, a.size) })
	return large
}

// Contents lists the tables of the parts that have been dumped, with their rows
// as they were counted on the way. Tables without rows are there too.
func (s *Snapshot) Contents() []TableContent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []TableContent
	for _, part := range s.parts {
		held := s.held[part.Name]
		if held == nil {
			continue
		}
		for name, c := range held.tables {
			all = append(all, TableContent{Schema: name.schema, Table: name.table, Part: part.Name, Rows: c.rows, Bytes: c.bytes, Counted: c.counted})
		}
	}
	slices.SortFunc(all, func(a, b TableContent) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Table, b.Table))
	})
	return all
}

type pgTableName struct{ schema, table string }

func (n pgTableName) String() string { return pgName(n.schema) + "." + pgName(n.table) }

// pgCount is how often a part's table of contents names a table's rows, and what
// was counted.
type pgCount struct {
	entries     int
	rows, bytes int64
	counted     bool // by the server too
}

// pgHeld is what a part's archive holds.
type pgHeld struct {
	part      Part
	tables    map[pgTableName]*pgCount // with data
	byID      map[int]*pgCount         // the same
	sequences map[pgTableName]bool     // with their values
	defined   map[pgTableName]bool     // tables
}

func newPgHeld(part Part) *pgHeld {
	return &pgHeld{part: part, tables: map[pgTableName]*pgCount{}, byID: map[int]*pgCount{}, sequences: map[pgTableName]bool{}, defined: map[pgTableName]bool{}}
}

func (h *pgHeld) entry(e pgarchive.Entry) {
	name := pgTableName{e.Namespace, e.Tag}
	switch e.Desc {
	case "TABLE":
		h.defined[name] = true
	case "SEQUENCE SET":
		h.sequences[name] = true
	case "TABLE DATA":
		c := h.tables[name]
		if c == nil {
			c = &pgCount{}
			h.tables[name] = c
		}
		c.entries++
		h.byID[e.ID] = c
	}
}

func (h *pgHeld) block(b pgarchive.Block) {
	if c := h.byID[b.ID]; c != nil {
		c.rows, c.bytes = b.Rows, b.Bytes
	}
}

// complete says what is missing in the parts, or is there twice.
func (s *Snapshot) complete() error {
	count, in := map[pgTableName]int{}, map[pgTableName][]string{}
	sequences, defined := map[pgTableName]bool{}, map[pgTableName]bool{}
	for _, part := range s.parts {
		held := s.held[part.Name]
		if held == nil {
			return fmt.Errorf("%w: the part %s was not dumped", ErrIncomplete, part.Name)
		}
		for name, c := range held.tables {
			count[name] += c.entries
			in[name] = append(in[name], part.Name)
		}
		for name := range held.sequences {
			sequences[name] = true
		}
		if part.Definitions {
			defined = held.defined
		}
	}
	var wrong []error
	add := func(format string, args ...any) {
		if len(wrong) < pgNamed {
			wrong = append(wrong, fmt.Errorf("%w: "+format, append([]any{ErrIncomplete}, args...)...))
		}
	}
	for _, t := range s.session.tables {
		name := pgTableName{t.schema, t.name}
		n := count[name]
		delete(count, name)
		switch {
		case t.kind == "S":
			if t.keepsRows(s.session) && !sequences[name] {
				add("no part has the value of the sequence %s", t.ident())
			}
			continue
		case !t.extension && !defined[name]:
			add("no part has the definition of the table %s", t.ident())
		}
		switch want := t.hasRows(s.session); {
		case want && n == 0:
			add("no part has the rows of the table %s", t.ident())
		case n > 1 || n == 1 && !want:
			add("the rows of the table %s are in the parts %s, which the snapshot does not expect", t.ident(), strings.Join(in[name], ", "))
		}
	}
	for name := range count {
		add("the part %s has the rows of the table %s.%s, which the snapshot does not know", strings.Join(in[name], ", "), pgIdent(name.schema), pgIdent(name.table))
	}
	return errors.Join(wrong...)
}
