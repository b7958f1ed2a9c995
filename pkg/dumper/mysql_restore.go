package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"
)

// dropTime bounds the removal of a database that a restore made and did not fill.
const dropTime = 30 * time.Second

// Restore feeds a dump to the client program, which stops at the first error.
//
// Statements that define tables cannot be taken back on MySQL and MariaDB, so
// the caller makes sure beforehand that the dump is authentic and whole. Even so
// a stream that is cut is told: the client is killed, and the error says that
// the target is incomplete. A database that Create made is dropped again then.
//
// Without Clean, a target that is not empty is refused. With Clean, what the
// dump holds replaces what has the same name and kind in the target, each
// dropped just before it is made anew; what only the target has stays. A table
// there in the place of a view, or the other way, is an error.
//
// NoOwner makes objects the account's own, by leaving out each DEFINER. Grants
// come back from Globals, unless NoPrivileges is set, to those of the backup's
// accounts that the server has; one that cannot be given is logged.
func (m *MySQL) Restore(ctx context.Context, r io.Reader, o RestoreOptions) error {
	stream, err := newMySQLStream(r)
	if err != nil {
		return err
	}
	s, err := m.open(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	t, err := m.clientTool(ctx, s.server)
	if err != nil {
		return err
	}
	g, err := readMySQLGlobals(o.Globals)
	if err != nil {
		return err
	}
	if err := m.prepare(ctx, s, g, o); err != nil {
		return err
	}
	if err := m.feed(ctx, s, t, newMySQLRewriter(stream, m.conn.Database, o.NoOwner)); err != nil {
		return m.undo(s, o.Create, err)
	}
	if !o.NoPrivileges {
		m.regrant(ctx, s, g, o.Create)
	}
	return nil
}

// prepare sees to the database that is restored to.
func (m *MySQL) prepare(ctx context.Context, s *mysqlSession, g mysqlGlobals, o RestoreOptions) error {
	st, err := m.state(ctx, s)
	switch {
	case err != nil:
		return m.explain(fmt.Errorf("looking at database %q: %w", m.conn.Database, err))
	case o.Create && st.Exists:
		return fmt.Errorf("database %q exists already on %s: restore without --create, or to another name", m.conn.Database, m.where())
	case o.Create:
		if err := s.exec(ctx, g.createDatabase(m.conn.Database)); err != nil {
			return m.explain(fmt.Errorf("creating database %q: %w", m.conn.Database, err))
		}
	case !st.Exists:
		return fmt.Errorf("there is no database %q on %s, or the account may not see it: create it, or restore with --create", m.conn.Database, m.where())
	case st.Objects > 0 && !o.Clean:
		return fmt.Errorf("database %q on %s is not empty (%d objects, %q among them): restore to an empty one, or with --force", m.conn.Database, m.where(), st.Objects, st.Example)
	}
	return nil
}

// feed runs the client program on a dump.
func (m *MySQL) feed(ctx context.Context, s *mysqlSession, t mysqlTool, dump io.Reader) error {
	args, err := m.clientArgs(ctx, s, t)
	if err != nil {
		return err
	}
	run, err := m.program(ctx, t.path, args...)
	if err != nil {
		return err
	}
	run.busy = func(ctx context.Context) error { return m.busy(ctx, s, run) }
	return run.input(ctx, dump, io.Discard)
}

// clientArgs are the client's options. Binary mode keeps line breaks as they
// are, and leaves the client no commands of its own: a dump cannot run programs
// on this machine.
func (m *MySQL) clientArgs(ctx context.Context, s *mysqlSession, t mysqlTool) ([]string, error) {
	args := []string{"--batch", "--binary-mode", "--comments", "--skip-reconnect", "--no-auto-rehash", "--local-infile=0"}
	if m.limits.Connect > 0 {
		args = append(args, fmt.Sprintf("--connect-timeout=%d", max(1, int(m.limits.Connect.Seconds()))))
	}
	// A query printed on error would put rows into the error.
	for option, use := range map[string]string{"sandbox": "--sandbox", "print-query-on-error": "--skip-print-query-on-error", "progress-reports": "--skip-progress-reports"} {
		known, err := m.knows(ctx, t.path, option)
		if err != nil {
			return nil, err
		}
		if known {
			args = append(args, use)
		}
	}
	set := "SET SESSION wait_timeout=86400, net_read_timeout=86400"
	if m.limits.Lock > 0 {
		set += fmt.Sprintf(", lock_wait_timeout=%d", max(1, int(m.limits.Lock.Seconds())))
	}
	if s.server.maria() {
		set += ", max_statement_time=0"
	}
	return append(args, "--init-command="+set, "--database="+m.conn.Database), nil
}

// busy says whether a client that takes no data is waiting for the server: a
// statement runs for it, or ran not long ago.
func (m *MySQL) busy(ctx context.Context, s *mysqlSession, run *tool) error {
	others, err := s.sessions(ctx)
	if err != nil {
		return m.explain(err)
	}
	for _, o := range others {
		ours := o.newer && o.user == m.username() && o.database == m.conn.Database
		if ours && (o.works || o.time < m.limits.Stall) {
			return nil
		}
	}
	return &StallError{Tool: run.name(), Limit: m.limits.Stall}
}

// undo says what a restore that failed leaves behind.
func (m *MySQL) undo(s *mysqlSession, created bool, cause error) error {
	cause = m.explain(cause)
	if !created {
		return fmt.Errorf("database %q is incomplete now, restore it again with --force: %w", m.conn.Database, cause)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	if err := s.exec(ctx, "DROP DATABASE "+quoteMySQLName(m.conn.Database)); err != nil {
		return fmt.Errorf("database %q, made by this restore, is incomplete and could not be dropped (%w); drop it by hand: %w", m.conn.Database, err, cause)
	}
	return fmt.Errorf("nothing was restored, and database %q, made for it, was dropped again: %w", m.conn.Database, cause)
}

// regrant gives the accounts of the backup that the server has their rights on
// what was restored: on single objects, and if the database is new also on it.
func (m *MySQL) regrant(ctx context.Context, s *mysqlSession, g mysqlGlobals, whole bool) {
	if err := s.strictGrants(ctx); err != nil {
		m.log.Warn("grants were not brought back", zap.Error(err))
		return
	}
	for _, a := range g.Accounts {
		statements := a.Objects
		if whole {
			statements = append(append([]string{}, a.Database...), a.Objects...)
		}
		for _, statement := range statements {
			statement, err := retarget(statement, g.Database, m.conn.Database)
			if err == nil {
				err = s.exec(ctx, statement)
			}
			if err != nil {
				m.log.Warn("a grant was not brought back", zap.String("account", a.name()), zap.String("grant", statement), zap.Error(err))
			}
		}
	}
}

// strictGrants keeps old servers of MariaDB from making an account, without a
// password, of a GRANT to one that does not exist.
func (s *mysqlSession) strictGrants(ctx context.Context) error {
	if !s.server.maria() {
		return nil
	}
	return s.exec(ctx, "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER'")
}

// retarget makes a grant on one database a grant on another.
func retarget(statement, from, to string) (string, error) {
	if from == to {
		return statement, nil
	}
	g, err := parseMySQLGrant(statement)
	if err != nil {
		return "", errors.New("the backup's globals hold a grant that cannot be read")
	}
	if g.role || g.database == "*" {
		return statement, nil
	}
	if g.object == "*" {
		to = strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(to)
	}
	return statement[:g.db[0]] + quoteMySQLName(to) + statement[g.db[1]:], nil
}
