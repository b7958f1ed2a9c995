package dumper

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"
)

// Postgres dumps and restores PostgreSQL databases by pg_dump, pg_dumpall and
// pg_restore. A dump is an archive in pg_dump's custom format, not compressed.
// NewPostgres makes one; it is safe for concurrent use.
type Postgres struct {
	conn   Connection
	limits Limits
	tools  Tools
	log    *zap.Logger
}

// NewPostgres returns the dumper of one database. What c leaves empty is taken
// from the PG… variables in t.Environ, as libpq does; log may be nil.
func NewPostgres(c Connection, l Limits, t Tools, log *zap.Logger) *Postgres {
	if log == nil {
		log = zap.NewNop()
	}
	return &Postgres{conn: pgDefaults(c, t.Environ), limits: l, tools: t, log: log}
}

// Describe connects to the database and picks the pg_dump for its server.
func (p *Postgres) Describe(ctx context.Context) (Info, error) {
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return Info{}, err
	}
	defer db.close()
	info := Info{Engine: "postgresql", ServerVersion: db.version, Database: db.name}
	tool, err := p.dumpTool(ctx, db.release)
	if err != nil {
		return info, err
	}
	info.Tool, info.ToolVersion = tool.path, tool.version
	return info, nil
}

// pgRelease is a major release: 1500 is 15, 906 is 9.6.
type pgRelease int

func (r pgRelease) String() string {
	if r >= 1000 {
		return fmt.Sprint(int(r) / 100)
	}
	return fmt.Sprintf("%d.%d", int(r)/100, int(r)%100)
}

// pgIdent quotes a name for SQL.
func pgIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// pgName quotes a name only if SQL wants it, for what people read.
func pgName(name string) string {
	for i, c := range name {
		plain := c == '_' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9'
		if !plain {
			return pgIdent(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}
