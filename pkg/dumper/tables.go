package dumper

import (
	"context"
	"fmt"
)

// TableOptions says how tables are restored.
type TableOptions struct {
	NoOwner      bool // objects belong to the user who restores
	NoPrivileges bool // grants are left out

	// Globals is the backup's globals file, which has the grants of MySQL and
	// MariaDB. Bounded by the caller.
	Globals []byte

	// Force empties the tables that have rows first, in the same transaction.
	Force bool
}

// TableReport is what a restore of tables does, or did.
type TableReport struct {
	Tables  []TableRestored
	Made    []string // what else is made, since the tables need it
	Parts   []string // with rows, that are read
	LeftOut []string // what belongs to the tables and is not made, and why
	Notes   []string // what is otherwise than it was where the backup was made
}

// TableRestored is one table of them.
type TableRestored struct {
	Name   string // as people write it
	Rows   int64  // that the backup has; -1: nothing told so far
	Exists bool   // in the target: it gets its rows alone
	Filled bool   // and has rows there, which go first
}

// TableRestore is a restore of tables that was planned: nothing is changed before
// Run. It is to be closed.
type TableRestore struct {
	Report TableReport

	plan  tablePlan
	force bool // rows that are there may be removed
}

// tablePlan is an engine's part of it.
type tablePlan interface {
	run(ctx context.Context) error
	close()
}

// Run restores the tables. An error means that nothing was changed.
func (r *TableRestore) Run(ctx context.Context) error {
	for _, t := range r.Report.Tables {
		if t.Filled && !r.force {
			return fmt.Errorf("%w: %s; --force empties it first, in the same transaction", ErrHasRows, t.Name)
		}
	}
	return r.plan.run(ctx)
}

// Close frees what a plan keeps in memory.
func (r *TableRestore) Close() { r.plan.close() }

// WholeDump is a dump in one stream as RestoreTables takes it.
func WholeDump(source Source) Parts {
	return Parts{Schema: source, Data: []PartSource{{Name: wholePart, Source: source}}}
}

// wholePart is the name of the one part of a dump that was made in one stream.
const wholePart = "dump"

// whole tells whether the parts are a dump in one stream.
func (parts Parts) whole() bool {
	return len(parts.Data) == 1 && parts.Data[0].Name == wholePart && len(parts.Contents.Parts) == 0
}
