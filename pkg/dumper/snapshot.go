package dumper

import (
	"errors"
	"time"
)

// largeTable is the size in bytes of a table from which a dump of its own pays.
const largeTable = 64 << 20

// Why several dumps of one snapshot did not come about. Errors wrap one of these.
var (
	// ErrNotShared says that this database, as it is reached and with these
	// options, cannot be dumped in parts: Dump, in one stream, is always right.
	ErrNotShared = errors.New("a snapshot cannot be shared by several dumps")

	// ErrYield says that the dump stood in others' way, or they in its way: it
	// lets go of its locks, and is to be tried later.
	ErrYield = errors.New("the dump gave way to others")

	// ErrConflict says that a standby broke the dump off, to go on with what its
	// primary sends: a second try may do, else Dump.
	ErrConflict = errors.New("the standby broke the dump off")
)

// SnapshotOptions says how a database is cut into parts, and for how long the
// dump may stand in others' way.
type SnapshotOptions struct {
	// Jobs is how many parts are dumped at once. Of PostgreSQL, a table is a part
	// of its own when it holds more than a quarter of a job's share of all data;
	// up to 1, none is. Of MySQL, it is how many parts there are, 16 at most.
	Jobs int

	// Large is the least size, in bytes, of a table that is a part of its own, or
	// that makes parts worth it; 0: 64 MiB.
	Large int64

	// BlockLimit is how long another session of PostgreSQL may wait behind the
	// dump's locks until that ends with ErrYield; 0: for ever.
	BlockLimit time.Duration
}
