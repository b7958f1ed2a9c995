package dumper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// restoreTool is the pg_restore for an archive and a server: of the server's own
// release if that reads the archive, else the next newer one, else an older one.
// Since 17, pg_restore begins with SET transaction_timeout, which older servers
// refuse: for those it writes a script, from which that is taken, for psql.
func (p *Postgres) restoreTool(ctx context.Context, a *pgArchive, server pgRelease) (plan pgPlan, err error) {
	needed := pgReads(a.header.Minor)
	found, err := p.findTools(ctx, "pg_restore", func(t pgTool) bool { return t.chosen && t.release == server && t.release >= needed })
	if err != nil {
		return plan, err
	}
	for _, t := range found {
		psql := ""
		if t.release >= 1700 && server < 1700 {
			psql = filepath.Join(filepath.Dir(t.path), "psql")
			if _, err := os.Stat(psql); err != nil {
				continue
			}
		}
		if t.release >= needed && (plan.program.path == "" || pgBetter(t, plan.program, server)) {
			plan = pgPlan{program: t, psql: psql}
		}
	}
	if plan.program.path == "" {
		return plan, fmt.Errorf("the dump was made by pg_dump %s and needs pg_restore %s or newer: install the package postgresql-client-%s, or name its folder in DBACKED_TOOLS_PATH; %s",
			a.header.ToolVersion, needed, max(needed, server), pgFound("pg_restore", found))
	}
	return plan, nil
}

// pgBetter says whether a fits a server better than b.
func pgBetter(a, b pgTool, server pgRelease) bool {
	if script := func(t pgTool) bool { return t.release >= 1700 && server < 1700 }; script(a) != script(b) {
		return script(b)
	}
	if (a.release >= server) != (b.release >= server) {
		return a.release >= server
	}
	if a.release == b.release {
		return a.chosen && !b.chosen
	}
	return (a.release < b.release) == (a.release >= server)
}

// pgReads is the first release whose pg_restore reads a version of the format.
func pgReads(minor int) pgRelease {
	switch {
	case minor >= 16:
		return 1700
	case minor == 15:
		return 1600
	case minor == 14:
		return 1200
	case minor == 13:
		return 1000
	}
	return 900
}
