package dumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// Snapshot is one state of a database, held by a session of its own, that several
// pg_dumps share:
//
//	s, err := p.Snapshot(ctx, SnapshotOptions{Jobs: 4, BlockLimit: time.Minute})
//	if errors.Is(err, ErrNotShared) {
//		return p.Dump(ctx, w) // in one stream
//	}
//	…
//	for _, part := range s.Parts() { // several at once
//		err = s.Dump(ctx, part, file(part.Name))
//	}
//	err = s.Close() // nil: the parts together are the whole database
//
// Restored, the part with the definitions comes first and last: its section
// pre-data, then all other parts in any order, then its section post-data.
//
// The session locks every table as a reader does (ACCESS SHARE) before it takes
// the snapshot: a TRUNCATE or an ALTER TABLE that rewrites, done before a table's
// rows are read, would leave none of them to read, without any error. Such
// statements wait until Close, and what comes after them waits behind them:
// BlockLimit bounds that. Limits.Lock is how long the session, and each pg_dump,
// waits for others' locks.
//
// Its methods may be called from several goroutines.
type Snapshot struct {
	p       *Postgres
	session *pgHolder
	tool    pgTool
	parts   []Part
	began   time.Time
	ctx     context.Context
	cancel  context.CancelCauseFunc
	watcher *pgWatcher

	mu    sync.Mutex
	held  map[string]*pgHeld // by the part's name
	close func() error
}

// Snapshot takes one. The context is for as long as it is held. The error is an
// ErrNotShared, with the reason, where Dump is what can be done; an ErrYield where
// a table was locked for longer than Limits.Lock.
func (p *Postgres) Snapshot(ctx context.Context, o SnapshotOptions) (*Snapshot, error) {
	if err := p.CheckOptions(); err != nil {
		return nil, err
	}
	if err := p.sharable(); err != nil {
		return nil, err
	}
	db, err := p.connect(ctx, p.conn.Database)
	if err != nil {
		return nil, err
	}
	s, err := p.takeSnapshot(ctx, db, o)
	if err != nil {
		db.close()
		return nil, err
	}
	return s, nil
}

func (p *Postgres) takeSnapshot(ctx context.Context, db *pgDB, o SnapshotOptions) (*Snapshot, error) {
	s := &Snapshot{p: p, session: &pgHolder{p: p, db: db}, held: map[string]*pgHeld{}}
	var err error
	if s.tool, err = p.dumpTool(ctx, db.release); err != nil {
		return nil, err
	}
	if err := s.session.hold(ctx); err != nil {
		return nil, err
	}
	s.began = time.Now()
	if err := s.session.share(ctx); err != nil {
		return nil, err
	}
	if err := s.session.sizes(ctx); err != nil {
		return nil, err
	}
	s.parts = pgParts(s.session, o)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.watcher = newPgWatcher(s, o.BlockLimit)
	s.close = sync.OnceValue(s.end)
	go s.watcher.run()
	return s, nil
}

// Parts are what is dumped: the definitions, then the data, the largest first.
func (s *Snapshot) Parts() []Part { return append([]Part(nil), s.parts...) }

// Context ends when the snapshot does: with its session, or by ErrYield. The
// cause says why.
func (s *Snapshot) Context() context.Context { return s.ctx }

// Age is for how long the snapshot has been held. As long, the server's VACUUM
// removes nothing that was deleted meanwhile, in any table.
func (s *Snapshot) Age() time.Duration { return time.Since(s.began) }

// Blocked is how many times another session was seen to wait behind the dump's
// locks so far.
func (s *Snapshot) Blocked() int { return int(s.watcher.blocked.Load()) }

// Dump writes a part to w, as Postgres.Dump does, and as surely: nil says that
// all of its data was there. A part that failed may be dumped again while Context
// lasts.
func (s *Snapshot) Dump(ctx context.Context, part Part, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()

	held := newPgHeld(part)
	v := pgarchive.NewVerifier()
	v.OnEntry, v.OnBlock = held.entry, held.block
	args := append([]string{"--snapshot=" + s.session.id}, part.args...)
	if err := s.p.dump(ctx, s.tool, s.session.db.name, args, v, w); err != nil {
		return s.explain(ctx, part, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[part.Name] = held
	return nil
}

// explain says what the failure of a part means for the snapshot.
func (s *Snapshot) explain(ctx context.Context, part Part, err error) error {
	exit, ok := errors.AsType[*ExitError](err)
	if ok && s.ctx.Err() != nil {
		err = context.Cause(s.ctx) // another part's failure, of which this one's is a consequence or a twin
	}
	err = fmt.Errorf("dumping the part %s: %w", part.Name, err)
	if !ok || ctx.Err() != nil {
		return err
	}
	switch {
	case pgLockTimeout(exit):
		// Whoever has or wants the table waits for this snapshot in turn.
		err = fmt.Errorf("%w: %w", ErrYield, err)
		s.cancel(err)
	case strings.Contains(exit.Stderr, "ERROR:  schema ") && strings.Contains(exit.Stderr, "does not exist"):
		err = fmt.Errorf("%w: a schema was renamed while it was dumped: %w", ErrYield, err)
		s.cancel(err)
	case strings.Contains(exit.Stderr, "conflict with recovery"):
		err = fmt.Errorf("%w: %w", ErrConflict, err)
		s.cancel(err)
	}
	return err
}

// Close lets go of the locks and the session. It returns nil only if every part
// was dumped, every table of the snapshot is in exactly one of them, and the
// session has held the snapshot until now.
func (s *Snapshot) Close() error { return s.close() }

func (s *Snapshot) end() error {
	s.watcher.stop()
	defer s.session.db.close()
	defer s.cancel(errors.New("the snapshot was closed"))
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.complete(); err != nil {
		return err
	}
	if err := s.session.named(s.ctx); err != nil {
		return err
	}
	return s.session.release(s.ctx)
}
