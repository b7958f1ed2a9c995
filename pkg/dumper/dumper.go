// Package dumper drives the databases' own dump programs, both ways.
//
// A dump is complete or it is an error: Dump returns nil only after the tool
// has exited with status 0 and what it wrote was seen to be whole. A restore
// that is cut never looks like one that ended: the tool sees the end of its
// input only when the data really ended.
package dumper

import (
	"time"
)

// Connection says how to reach a database.
type Connection struct {
	Host     string // a name, an address, or an absolute path: a unix socket (for PostgreSQL its folder)
	Port     int
	Username string // empty: the tools' own default
	Password string // empty: none is given
	Database string
	TLS      TLS
}

// TLS says how a connection is protected. Mode is one of disable, prefer,
// require, verify-ca and verify-full, as libpq means them; empty is prefer.
type TLS struct {
	Mode string
	CA   string // path of a PEM file with the authorities to trust
	Cert string // path of the client's certificate, if it needs one
	Key  string // path of that certificate's key
}

// Limits bounds every wait.
type Limits struct {
	Connect time.Duration // until a connection stands
	Lock    time.Duration // that a dump waits for a table's lock
	Stall   time.Duration // that a tool may move no byte
	Stop    time.Duration // that a tool may take to end when it is asked to; 0: 5 s
}

// Tools says where and how the database's programs run.
type Tools struct {
	Path    []string // folders that are searched before the usual ones
	Environ []string // other variables for the tools: PG…, proxies; never a secret
	Options []string // more options for the dump program
}

// Info says what was dumped, and with what.
type Info struct {
	Engine        string // "postgresql", "mysql" or "mariadb"
	ServerVersion string // "15.18 (Debian 15.18-0+deb12u1)"
	Tool          string // path of the dump program
	ToolVersion   string // as that program says it
	Database      string
}

// Level is how a Finding went.
type Level string

// The levels of a Finding.
const (
	OK   Level = "ok"
	Warn Level = "warn" // a backup works, with the limit that is named
	Fail Level = "fail" // a backup cannot work
)

// Finding is one line of a preflight check.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"`       // what was looked at: "connection", "table public.orders"
	Message string `json:"message"`       // what was found
	Fix     string `json:"fix,omitempty"` // what to do: a statement, a package, a setting
}

// State says what a restore would meet in its target.
type State struct {
	Engine        string
	ServerVersion string
	Exists        bool   // whether the database is there
	Objects       int    // tables, views, sequences, functions … in it that a user made
	Example       string // the name of one of them
	Sessions      int    // other sessions connected to it
}

// RestoreOptions says how a dump is put back.
type RestoreOptions struct {
	// Create makes the database first, with the encoding, the locale, the
	// settings and the grants that the dump holds.
	Create bool

	// Globals is the backup's globals file, where the engine needs it for
	// Create. Bounded by the caller.
	Globals []byte

	NoOwner      bool // objects belong to the user who restores
	NoPrivileges bool // grants are left out

	// Clean drops what the dump holds before it is made anew: for a target
	// that is not empty.
	Clean bool
}

// RoleMode says how missing roles are made.
type RoleMode int

// The ways to make a role.
const (
	RolesNoLogin RoleMode = iota // without login, or locked: they only own and are granted
	RolesFull                    // as they are in the backup's globals
)
