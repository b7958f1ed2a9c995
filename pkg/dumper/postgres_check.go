package dumper

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

const pgNamed = 20 // objects of a kind that Check names; the rest is counted

// Check looks whether Dump would work, by pg_dump's own rules, without waiting for
// any lock: the connection, the tool, and every object that pg_dump reads. What is
// wrong is a Finding, with the statement that mends it; the error says only that
// the check was interrupted.
func (p *Postgres) Check(ctx context.Context) ([]Finding, error) {
	c := &pgCheck{p: p, failed: Fail}
	if err := p.CheckOptions(); err != nil {
		c.add(Fail, "options", err.Error(), "take the option out of "+pgOptionsVar)
	}
	if p.selective() {
		c.failed = Warn
		c.add(Warn, "options", "they leave objects out: a backup is not the whole database, and what is named below may not matter", "")
	}
	db, err := p.connect(ctx, p.conn.Database)
	if err == nil {
		defer db.close()
		c.db = db
		c.add(OK, "connection", fmt.Sprintf("PostgreSQL %s, database %s, as %s", db.version, pgName(db.name), pgName(db.user)), "")
		c.tool(ctx)
		for _, rule := range pgRules(db.release) {
			c.apply(ctx, rule)
		}
		c.passwords(ctx)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		c.add(Fail, "connection", err.Error(), p.pgAdvise(err.Error()))
	}
	return c.findings, nil
}

// selective says whether options leave objects out.
func (p *Postgres) selective() bool {
	return slices.ContainsFunc(p.tools.Options, func(o string) bool {
		for _, prefix := range []string{"-n", "-N", "-t", "-T", "-e", "-B", "--schema", "--exclude", "--table", "--extension", "--filter", "--no-large", "--no-blobs"} {
			if strings.HasPrefix(o, prefix) {
				return true
			}
		}
		return false
	})
}

// pgCheck gathers findings.
type pgCheck struct {
	p        *Postgres
	db       *pgDB
	failed   Level // of an object that pg_dump cannot read
	findings []Finding
}

func (c *pgCheck) add(level Level, subject, message, fix string) {
	c.findings = append(c.findings, Finding{level, subject, message, fix})
}

func (c *pgCheck) tool(ctx context.Context) {
	tool, err := c.p.dumpTool(ctx, c.db.release)
	if err != nil {
		c.add(Fail, "pg_dump", err.Error(), fmt.Sprintf("apt-get install postgresql-client-%s", c.db.release))
		return
	}
	c.add(OK, "pg_dump", fmt.Sprintf("%s, version %s", tool.path, tool.version), "")
}

// passwords says whether those of roles would be in a backup.
func (c *pgCheck) passwords(ctx context.Context) {
	var readable bool
	err := c.db.QueryRow(ctx, "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')").Scan(&readable)
	switch {
	case err != nil:
		c.add(Fail, "roles", "asking whether passwords can be read: "+err.Error(), "")
	case readable:
		c.add(OK, "roles", "a backup holds the roles with their passwords", "")
	default:
		c.add(OK, "roles", "a backup holds the roles without their passwords, which only a superuser can read", "")
	}
}

// apply runs a rule's query and makes a finding of each row.
func (c *pgCheck) apply(ctx context.Context, rule pgRule) {
	if ctx.Err() != nil {
		return
	}
	type row struct{ Subject, Fix string }
	rows, err := c.db.Query(ctx, `SELECT subject, fix FROM (`+rule.query+`) q ORDER BY 1, 2`)
	var found []row
	if err == nil {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	}
	if err != nil {
		c.add(Fail, rule.what, "looking at them: "+err.Error(), "")
		return
	}
	level := rule.level
	if level == Fail {
		level = c.failed
	}
	user := pgIdent(c.db.user)
	for _, r := range found[:min(len(found), pgNamed)] {
		c.add(level, r.Subject, rule.message, strings.ReplaceAll(r.Fix, "USER", user))
	}
	switch more := len(found) - pgNamed; {
	case more > 0:
		c.add(level, fmt.Sprintf("%d more %s", more, rule.what), rule.message, strings.ReplaceAll(rule.all, "USER", user))
	case len(found) == 0 && rule.fine != "":
		c.add(OK, rule.what, rule.fine, "")
	}
}
