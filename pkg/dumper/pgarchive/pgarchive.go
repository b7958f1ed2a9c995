// Package pgarchive tells whether a stream in pg_dump's custom format is whole.
//
// That format has no trailer: an archive that is cut at the end of a table's
// data looks like one that ended there, and pg_restore finds out only when it
// misses a block. But the archive begins with a table of contents, which names
// every entry that has data. A Verifier walks along with the stream, takes note
// of those entries, and says in the end whether each had its block:
//
//	v := pgarchive.NewVerifier()
//	_, err := io.Copy(io.MultiWriter(v, file), dump)
//	if cerr := v.Close(); err == nil {
//		err = cerr // nil: the table of contents is whole, and so is all data
//	}
//
// Once the table of contents was read, Rewrite puts SQL before some of its statements.
//
// It reads archives of the versions 1.10 to 1.16, as PostgreSQL 8.4 to 18 write
// them. It does not look into the data, so compressed archives are fine too. Its
// memory does not grow with the data: it takes one bit for each entry of the
// table of contents, and a bounded number of their names.
package pgarchive

import "errors"

// What may be wrong with an archive. Errors wrap one of these.
var (
	// ErrIncomplete says that the stream ended before the archive did, or that
	// an entry has no data where it should.
	ErrIncomplete = errors.New("the archive is not complete")

	// ErrDamaged says that the stream is not what pg_dump writes.
	ErrDamaged = errors.New("the archive is damaged")

	// ErrNotArchive says that the stream is something else: another format of
	// pg_dump, or no dump at all.
	ErrNotArchive = errors.New("not an archive in pg_dump's custom format")

	// ErrUnsupported says that the archive has a version that this package
	// does not know.
	ErrUnsupported = errors.New("unsupported version of the archive format")
)

// Header is what an archive says about itself.
type Header struct {
	Major, Minor, Revision int    // version of the format
	Compressed             bool   // whether pg_dump compressed the data
	Database               string // name of the database that was dumped
	ServerVersion          string // "15.18 (Debian 15.18-0+deb12u1)"
	ToolVersion            string // of pg_dump
}

// Entry is one entry of the table of contents. Its strings are cut at
// MaxString bytes, Defn at MaxDefn.
type Entry struct {
	ID        int    // the number that its block of data has
	Desc      string // "TABLE", "TABLE DATA", "DATABASE PROPERTIES", …
	Tag       string // usually the object's name
	Namespace string // its schema, or ""
	Owner     string
	Defn      string // the SQL that makes it, if KeepDefn asked for it
	HasData   bool   // whether the archive must hold a block for it
	Copy      Copy   // for the rows of a table

	Dependencies []int // the IDs of the entries that it needs, if KeepDependencies asked for them
}

// Copy is the statement that reads rows into a table, if an entry has one.
type Copy struct {
	Statement string // cut at MaxString bytes
	at        int64  // where it is in the archive
}

// Block is what was counted in the data of a table.
type Block struct {
	ID    int   // of the entry that the data belongs to
	Rows  int64 // -1 if it is not what COPY writes: INSERT statements, or compressed
	Bytes int64 // of the rows; for another block, of all that it holds
}

// Bounds of what an Entry keeps.
const (
	MaxString = 1 << 10
	MaxDefn   = 1 << 20
)

// name is how errors call the entry.
func (e *Entry) name() string {
	if e.Namespace == "" {
		return e.Desc + " " + e.Tag
	}
	return e.Desc + " " + e.Namespace + "." + e.Tag
}
