package dumper

import (
	"context"
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// MySQL drives the programs of MySQL and MariaDB for one database.
//
// The programs are run with --defaults-file: neither /etc/mysql nor ~/.my.cnf is
// read, since a line there ("ignore-table", "skip-comments", another password)
// would change unseen what a dump holds. What Connection, Limits and
// Tools.Options say is all that applies. Variables of the environment whose
// names begin with MYSQL or MARIADB, and HOME, are not passed on for the same
// reason.
//
// A unix socket is taken for safe: TLS applies to TCP only, as in libpq. MariaDB's
// programs know no mode verify-ca: there it checks the host's name too.
type MySQL struct {
	conn   Connection
	limits Limits
	tools  Tools
	log    *zap.Logger

	mu    sync.Mutex
	helps map[string]map[string]bool // options that a program knows, by its path
}

// NewMySQL returns a driver for one database. It does not connect. A port of 0 is
// 3306; without a log nothing is said.
func NewMySQL(c Connection, l Limits, t Tools, log *zap.Logger) *MySQL {
	if log == nil {
		log = zap.NewNop()
	}
	if c.Port == 0 {
		c.Port = 3306
	}
	return &MySQL{conn: c, limits: l, tools: t, log: log, helps: map[string]map[string]bool{}}
}

// Describe connects, and says what a dump would be made of and with.
func (m *MySQL) Describe(ctx context.Context) (Info, error) {
	s, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return Info{}, err
	}
	defer s.close()
	tool, err := m.dumpTool(ctx, s.server)
	if err != nil {
		return Info{}, err
	}
	return Info{
		Engine: s.server.engine, ServerVersion: s.server.text, Database: m.conn.Database,
		Tool: tool.path, ToolVersion: tool.text,
	}, nil
}

// mysqlServer is what a server says of itself.
type mysqlServer struct {
	engine  string // "mysql" or "mariadb"
	text    string // "10.11.19-MariaDB-0+deb12u1"
	version mysqlVersion
	account string // the one that the connection is authenticated as: "app@%"
	fold    bool   // names of databases are in lower case
}

func (s mysqlServer) maria() bool { return s.engine == "mariadb" }

func (s mysqlServer) String() string { return s.brand() + " " + s.version.String() }

func (s mysqlServer) brand() string {
	if s.maria() {
		return "MariaDB"
	}
	return "MySQL"
}

// mysqlVersion is a version's first three numbers.
type mysqlVersion [3]int

func (v mysqlVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// less compares the first two numbers: releases that differ in the third only
// read and write the same.
func (v mysqlVersion) less(o mysqlVersion) bool {
	return v[0] < o[0] || v[0] == o[0] && v[1] < o[1]
}
