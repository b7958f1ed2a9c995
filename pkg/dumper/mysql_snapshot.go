package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MySQLSnapshot is one state of a database, in which several dump programs have
// their transactions open.
//
// Dump programs cannot join a snapshot. So all of them are started while nobody
// may write (FLUSH TABLES WITH READ LOCK), and writes go on as soon as each has
// its transaction: each then waits, its pipe full, until Dump takes its part. All
// parts are to be taken at once: the server gives up on a reader that pauses.
//
// It locks nothing until its end. A table that is altered before its rows were
// read has none for older transactions, which is an error of the server's; what
// else is defined otherwise at the end than it was before the start is an
// ErrYield: a second try may do, else Dump, which compares nothing.
//
// Its methods may be called from several goroutines.
type MySQLSnapshot struct {
	m       *MySQL
	session *mysqlSession
	tool    mysqlTool
	args    []string // of all its dumps, without what they dump
	tables  mysqlTables
	before  mysqlDefinitions
	parts   []Part
	began   time.Time
	ctx     context.Context
	cancel  context.CancelCauseFunc
	watched chan struct{}
	close   func() error

	mu     sync.Mutex
	runs   map[string]*mysqlRun // by the part's name
	shares map[string][]mysqlTable
	held   map[string]*mysqlRows
	schema bool // was dumped
}

// Snapshot takes one. The context is for as long as it is held. The error is an
// ErrNotShared, with the reason, where Dump is what can be done, as it is where a
// statement that runs would hold it up.
func (m *MySQL) Snapshot(ctx context.Context, o SnapshotOptions) (*MySQLSnapshot, error) {
	if err := m.CheckOptions(); err != nil {
		return nil, err
	}
	if err := m.sharable(); err != nil {
		return nil, err
	}
	session, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return nil, err
	}
	s := &MySQLSnapshot{
		m: m, session: session, watched: make(chan struct{}),
		runs: map[string]*mysqlRun{}, shares: map[string][]mysqlTable{}, held: map[string]*mysqlRows{},
	}
	if err := s.take(ctx, o); err != nil {
		session.close()
		return nil, err
	}
	return s, nil
}

func (s *MySQLSnapshot) take(ctx context.Context, o SnapshotOptions) (err error) {
	if s.tool, err = s.m.dumpTool(ctx, s.session.server); err != nil {
		return err
	}
	if err := s.m.preflight(ctx, s.session, s.tool); err != nil {
		return err
	}
	args, err := s.m.dumpArgs(ctx, s.session, s.tool)
	if err != nil {
		return err
	}
	s.args = args[:len(args)-2] // without the database, before which each dump has more options
	if s.before, err = s.m.definitions(ctx, s.session); err != nil {
		return err
	}
	if s.tables, err = s.m.listTables(ctx, s.session); err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if err := s.begin(o); err != nil {
		err = s.explain(err)
		s.cancel(err)
		return err
	}
	s.close = sync.OnceValue(s.end)
	go func() {
		defer close(s.watched)
		s.m.watchLocks(s.ctx, s.session, func(err error) { s.cancel(fmt.Errorf("%w: %w", ErrYield, err)) })
	}()
	return nil
}

// begin starts the dumps of the parts with rows.
func (s *MySQLSnapshot) begin(o SnapshotOptions) error {
	s.parts = []Part{{Name: "schema", Definitions: true}}
	var tools []*tool
	for i, share := range s.tables.share(o.Jobs) {
		part := Part{Name: "data-" + strconv.Itoa(i+1), Size: sizeOf(share)}
		args := append(s.args[:len(s.args):len(s.args)], "--no-create-info", "--skip-triggers", "--skip-routines", "--skip-events",
			"--skip-add-locks", "--skip-disable-keys", // with them, restores of tables with foreign keys would wait for each other
			"--verbose", "--", s.m.conn.Database)
		for _, t := range share {
			args = append(args, t.name)
		}
		run, err := s.m.program(s.ctx, s.tool.path, args...)
		if err != nil {
			return err
		}
		warned := run.warned
		run.warned = func(text string) {
			if text = withoutProgress(text); text != "" {
				warned(text)
			}
		}
		tools = append(tools, run)
		s.parts = append(s.parts, part)
		s.shares[part.Name] = share
	}
	runs, err := s.m.atOnce(s.ctx, tools)
	if err != nil {
		return err
	}
	s.began = time.Now()
	for i, r := range runs {
		s.runs[s.parts[i+1].Name] = r
	}
	return nil
}

// Parts are what is dumped: the definitions, then the data, the largest first.
func (s *MySQLSnapshot) Parts() []Part { return append([]Part(nil), s.parts...) }

// AtOnce is how many parts must be dumped at the same time, since the server would
// give up on those that wait.
func (s *MySQLSnapshot) AtOnce() int { return len(s.parts) }

// Context ends when the snapshot does. The cause says why.
func (s *MySQLSnapshot) Context() context.Context { return s.ctx }

// Age is for how long the snapshot has been held. As long, the server keeps what
// others change meanwhile.
func (s *MySQLSnapshot) Age() time.Duration { return time.Since(s.began) }

// Blocked is none: once the dumps have begun, nobody waits for them.
func (s *MySQLSnapshot) Blocked() int { return 0 }

// Dump writes a part to w, as MySQL.Dump does, and as surely. A part with rows is
// dumped once.
func (s *MySQLSnapshot) Dump(ctx context.Context, part Part, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	err := s.dump(ctx, part, w)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		err = s.explain(err)
	}
	return fmt.Errorf("dumping the part %s: %w", part.Name, err)
}

func (s *MySQLSnapshot) dump(ctx context.Context, part Part, w io.Writer) error {
	if part.Definitions {
		err := s.dumpSchema(ctx, w)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.schema = s.schema || err == nil
		return err
	}
	run := s.run(part.Name)
	if run == nil {
		return errors.New("its program has ended, or is read already")
	}
	rows := newMySQLRows()
	proof := &mysqlProof{w: io.MultiWriter(w, rows)}
	if err := run.copy(ctx, proof); err != nil {
		return err
	}
	if err := proof.check(run.tool.name()); err != nil {
		return err
	}
	if err := rows.holds(part.Name, s.shares[part.Name]); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[part.Name] = rows
	return nil
}

// run is a part's program, which nobody else reads.
func (s *MySQLSnapshot) run(name string) *mysqlRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[name]
	if run == nil || run.taken {
		return nil
	}
	run.taken = true
	return run
}

// explain says whether a failure came of what others changed.
func (s *MySQLSnapshot) explain(err error) error {
	err = withoutProgressError(err)
	exit, ok := errors.AsType[*ExitError](err)
	if errors.Is(err, ErrYield) || !ok && !errors.Is(err, ErrIncomplete) {
		return err
	}
	gone := ok && strings.Contains(exit.Stderr, "Couldn't find table") // of MariaDB, some end well without it
	switch mysqlCode(err) {
	case 1146, 1205, 1412:
		gone = true
	}
	if !gone {
		now, derr := s.m.definitions(s.ctx, s.session)
		gone = derr == nil && s.before.changed(now) != ""
	}
	if err = s.m.explain(err); gone {
		err = fmt.Errorf("%w: %w", ErrYield, err)
		s.cancel(err)
	}
	return err
}

// Contents says which rows of which table are in which part. It is whole once all
// parts were dumped.
func (s *MySQLSnapshot) Contents() []TableContent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []TableContent
	for _, part := range s.parts {
		for _, t := range s.shares[part.Name] {
			c := TableContent{Table: t.name, Part: part.Name}
			if rows := s.held[part.Name]; rows != nil && rows.tables[t.name] != nil {
				c.Rows, c.Bytes = rows.tables[t.name].rows, rows.tables[t.name].bytes
			}
			all = append(all, c)
		}
	}
	return all
}

// Close ends the dumps. It returns nil only if every part was dumped, with each
// table in exactly one of them, and nothing was defined otherwise meanwhile.
func (s *MySQLSnapshot) Close() error { return s.close() }

func (s *MySQLSnapshot) end() error {
	err := s.complete()
	s.cancel(errors.New("the snapshot was closed"))
	<-s.watched
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if !r.taken { // else Dump ends it
			r.end()
		}
	}
	s.session.close()
	return err
}

func (s *MySQLSnapshot) complete() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	s.mu.Lock()
	for _, part := range s.parts {
		if part.Definitions && !s.schema || !part.Definitions && s.held[part.Name] == nil {
			s.mu.Unlock()
			return fmt.Errorf("%w: the part %s was not dumped", ErrIncomplete, part.Name)
		}
	}
	s.mu.Unlock()
	now, err := s.m.definitions(s.ctx, s.session)
	if err != nil {
		return err
	}
	if kind := s.before.changed(now); kind != "" {
		return fmt.Errorf("%w: the %s of the database were changed while it was dumped", ErrYield, kind)
	}
	return nil
}
