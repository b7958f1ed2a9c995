package dumper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrUnfit says that a table which is there cannot take the rows of a backup so that
// a failure would change nothing. Nothing was changed.
var ErrUnfit = errors.New("the table that is there cannot take the rows")

// mysqlThere is what a target has.
type mysqlThere struct {
	fold     bool
	tables   map[string]mysqlThereTable
	triggers []mysqlThereTrigger
}

type mysqlThereTable struct {
	kind, engine  string
	transactional bool
}

type mysqlThereTrigger struct{ name, table, event string }

// table is one of a name, if there is one.
func (there mysqlThere) table(name string) (mysqlThereTable, bool) {
	t, ok := there.tables[there.key(name)]
	return t, ok
}

func (there mysqlThere) key(name string) string {
	if there.fold {
		return strings.ToLower(name)
	}
	return name
}

func (r *mysqlTableRestore) there(ctx context.Context) (there mysqlThere, err error) {
	there = mysqlThere{fold: r.session.server.fold, tables: map[string]mysqlThereTable{}}
	rows, err := r.session.rows(ctx, "SELECT t.TABLE_NAME, t.TABLE_TYPE, COALESCE(t.ENGINE, ''), COALESCE(e.TRANSACTIONS, 'NO') "+
		"FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = ?", r.m.conn.Database)
	if err != nil {
		return there, fmt.Errorf("asking what the target has: %w", err)
	}
	for _, row := range rows {
		there.tables[there.key(row[0])] = mysqlThereTable{row[1], row[2], row[3] == "YES"}
	}
	rows, err = r.session.rows(ctx, "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, EVENT_MANIPULATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?", r.m.conn.Database)
	if err != nil {
		return there, fmt.Errorf("asking for the target's triggers: %w", err)
	}
	for _, row := range rows {
		there.triggers = append(there.triggers, mysqlThereTrigger{row[0], there.key(row[1]), row[2]})
	}
	return there, nil
}

// look compares what was chosen with the target.
func (r *mysqlTableRestore) look(ctx context.Context, chosen []string) error {
	there, err := r.there(ctx)
	if err != nil {
		return err
	}
	for _, name := range chosen {
		t, ok := there.table(name)
		switch {
		case !ok && r.defined.tables[name] == "":
			return fmt.Errorf("the backup has rows of the table %s and not its definition: make it first (CREATE TABLE)", name)
		case !ok:
			r.make = append(r.make, name)
			continue
		}
		if err := r.takes(ctx, there, name, t); err != nil {
			return err
		}
		r.fill = append(r.fill, name)
	}
	if len(r.fill) > 0 {
		if err := r.seesTriggers(ctx); err != nil {
			return err
		}
	}
	r.chooseTriggers(there)
	r.dangling(there)
	return nil
}

// takes refuses a table that is there and could not take the rows, and only these.
func (r *mysqlTableRestore) takes(ctx context.Context, there mysqlThere, name string, t mysqlThereTable) error {
	const otherwise = "or restore into another --db-name, and copy the rows from there"
	switch {
	case t.kind != "BASE TABLE" && t.kind != "SYSTEM VERSIONED":
		return fmt.Errorf("%w: %s is a %s in the target: rename it there, %s", ErrUnfit, name, strings.ToLower(t.kind), otherwise)
	case !t.transactional:
		return fmt.Errorf("%w: %s has the engine %s, without transactions, so that a failure would leave a part of them: ALTER TABLE %s ENGINE = InnoDB, drop it so that it is made anew, %s",
			ErrUnfit, name, t.engine, quoteMySQLName(name), otherwise)
	}
	for _, g := range there.triggers {
		if g.table == there.key(name) && (strings.Contains(g.event, "INSERT") || r.options.Force && strings.Contains(g.event, "DELETE")) {
			return fmt.Errorf("%w: %s has the trigger %s, which would run for each of them: drop that and make it again afterwards, %s", ErrUnfit, name, g.name, otherwise)
		}
	}
	return r.sameColumns(ctx, name)
}

// sameColumns refuses a table whose columns are others: the rows name none.
func (r *mysqlTableRestore) sameColumns(ctx context.Context, name string) error {
	shown, err := r.session.rows(ctx, "SHOW CREATE TABLE "+r.m.qualify(name))
	if err == nil && (len(shown) == 0 || len(shown[0]) < 2) {
		err = errors.New("the server does not show its definition")
	}
	if err != nil {
		return fmt.Errorf("looking at the table %s: %w", name, err)
	}
	was, is := defineMySQL(r.defined.tables[name]).columns, defineMySQL(shown[0][1]).columns
	if len(was) == 0 {
		return fmt.Errorf("%w: the backup does not say which columns %s has", ErrUnfit, name)
	}
	for i := range max(len(was), len(is)) {
		var old, now mysqlColumn
		if i < len(was) {
			old = was[i]
		}
		if i < len(is) {
			now = is[i]
		}
		if !strings.EqualFold(old.name, now.name) || old.generated != now.generated {
			return fmt.Errorf("%w: the column %d of %s is %s, and in the backup %s: alter the table, or restore into another --db-name, and copy the rows from there",
				ErrUnfit, i+1, name, now.shown(), old.shown())
		}
		if old.kind != now.kind {
			r.report.Notes = append(r.report.Notes, fmt.Sprintf("column %s of %s: it is %s, and was %s", now.name, name, now.kind, old.kind))
		}
	}
	if !r.session.server.maria() || !slices.ContainsFunc(was, func(c mysqlColumn) bool { return c.generated }) {
		return nil
	}
	if !sameMySQLTable(r.defined.tables[name], shown[0][1]) {
		return fmt.Errorf("%w: %s has generated columns, for which dumps of MariaDB have values, so that it must be exactly the table of the backup, and it is defined otherwise: "+
			"drop it so that it is made anew, or restore into another --db-name, and copy the rows from there", ErrUnfit, name)
	}
	r.lenient[name] = true
	return nil
}

// mysqlCounter is what a definition says of the next row, and not of the table.
var mysqlCounter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// sameMySQLTable tells whether two tables are defined alike.
func sameMySQLTable(one, other string) bool {
	return mysqlCounter.ReplaceAllString(one, "") == mysqlCounter.ReplaceAllString(other, "")
}

func (c mysqlColumn) shown() string {
	switch {
	case c.name == "":
		return "missing"
	case c.generated:
		return c.name + ", which is generated"
	}
	return c.name
}

// seesTriggers refuses an account that could not tell whether a table has triggers.
func (r *mysqlTableRestore) seesTriggers(ctx context.Context) error {
	grants, err := r.session.grants(ctx)
	if err != nil {
		return fmt.Errorf("looking at what the account may see: %w", err)
	}
	if !rightsOn(grants, r.m.conn.Database, r.session.server.fold).has("TRIGGER") {
		return fmt.Errorf("%w: the account may not see whether %s has triggers: GRANT TRIGGER ON %s.* TO %s", ErrUnfit, r.fill[0], quoteMySQLName(r.m.conn.Database), quoteMySQLAccount(r.session.server.account))
	}
	return nil
}

// chooseTriggers finds those that are made with their tables.
func (r *mysqlTableRestore) chooseTriggers(there mysqlThere) {
	if len(r.make) == 0 {
		return
	}
	leave := func(name, why string) {
		r.report.LeftOut = append(r.report.LeftOut, "trigger "+name+": "+why)
	}
	for _, t := range r.defined.triggers {
		of := r.owner(t)
		switch {
		case of == "":
		case t.database != "" && there.key(t.database) != there.key(r.m.conn.Database):
			leave(t.name, "its text names the database "+t.database)
		case slices.ContainsFunc(there.triggers, func(g mysqlThereTrigger) bool { return strings.EqualFold(g.name, t.name) }):
			leave(t.name, "one of that name is there")
		default:
			r.triggers = append(r.triggers, t)
		}
	}
	for _, name := range r.defined.untold {
		leave(name, "its text does not plainly say which table it belongs to")
	}
}

// owner is which of the tables that are made a trigger belongs to, or "". Its text may
// have other letters where the names of tables have no case.
func (r *mysqlTableRestore) owner(t mysqlTrigger) string {
	name := t.table
	if _, exact := r.rows[name]; !exact {
		name = strings.ToLower(name)
	}
	if slices.Contains(r.make, name) {
		return name
	}
	return ""
}

// dangling notes foreign keys to tables that will not be there.
func (r *mysqlTableRestore) dangling(there mysqlThere) {
	for _, name := range r.make {
		for _, f := range defineMySQL(r.defined.tables[name]).refers {
			_, is := there.table(f.table)
			if cmp.Or(f.database, r.m.conn.Database) != r.m.conn.Database || is || slices.Contains(r.make, f.table) {
				continue
			}
			r.report.Notes = append(r.report.Notes, fmt.Sprintf("foreign key %s of %s: it is made, and the table %s that it refers to is not there", f.constraint, name, f.table))
		}
	}
}

// filled tells which tables have rows in the target.
func (r *mysqlTableRestore) filled(ctx context.Context) error {
	for i, t := range r.report.Tables {
		if !t.Exists {
			continue
		}
		some, err := r.session.column(ctx, "SELECT 1 FROM "+r.m.qualify(t.Name)+" LIMIT 1")
		if err != nil {
			return fmt.Errorf("looking for rows in the table %s: %w", t.Name, err)
		}
		r.report.Tables[i].Filled = len(some) > 0
	}
	return nil
}
