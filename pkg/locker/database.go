package locker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// askLimit bounds one question to the server.
	askLimit = 10 * time.Second
	// yes is how a statement of a dialect says that it is so.
	yes = "1"
)

// Session is one session of a database server: one connection, that is neither
// shared nor opened again by itself when it breaks.
type Session interface {
	// Ask runs a statement that gives one row of one column, and returns that as
	// text, "" for NULL.
	Ask(ctx context.Context, statement string) (string, error)
	Close() error
}

// Database is a lock that the database server itself keeps for a session, and
// frees when that ends, however it ends.
type Database struct {
	open    func(ctx context.Context) (Session, error)
	dialect dialect
	every   time.Duration // how often the session is looked at

	mu   sync.Mutex
	held Session // of the run that holds the lock; nil when none does
}

// alone asks a session one question at a time.
type alone struct {
	Session
	mu sync.Mutex
}

func (s *alone) Ask(ctx context.Context, statement string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Session.Ask(ctx, statement)
}

// dialect are the statements of one engine.
type dialect struct {
	what          string // names the lock in messages
	take, give    string // yes if it was taken, given back
	mine          string // yes if this session holds it
	who           string // who holds it, in words
	advice        string // what to do when the holder is dead
	sessionBroken string // what may end a session
}

// NewPostgres returns pg_advisory_lock's lock of an instance. PostgreSQL keeps it
// for one database of one server: all agents must connect to the same. Behind a
// pooler that gives a session away between two statements it cannot be held.
func NewPostgres(instance string, open func(ctx context.Context) (Session, error)) *Database {
	sum := lockSum(instance)
	high, low := binary.BigEndian.Uint32(sum[:4]), binary.BigEndian.Uint32(sum[4:8])
	key := int64(binary.BigEndian.Uint64(sum[:8]))
	held := fmt.Sprintf(`FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.classid = %d AND l.objid = %d AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`, high, low)
	return &Database{open: open, every: watchEvery, dialect: dialect{
		what: fmt.Sprintf("advisory lock %d of PostgreSQL", key),
		take: fmt.Sprintf("SELECT pg_catalog.pg_try_advisory_lock(%d)::int::text", key),
		give: fmt.Sprintf("SELECT pg_catalog.pg_advisory_unlock(%d)::int::text", key),
		mine: "SELECT pg_catalog.count(*)::text " + held + " AND l.pid = pg_catalog.pg_backend_pid()",
		who: `SELECT COALESCE((SELECT 'server process ' || a.pid || ' of user ' || a.usename
			|| COALESCE(' (' || NULLIF(a.application_name, '') || ')', '') || COALESCE(' from ' || pg_catalog.host(a.client_addr), '')
			|| COALESCE(', since ' || pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SSTZH:TZM'), '')
			FROM pg_catalog.pg_stat_activity a WHERE a.pid = (SELECT l.pid ` + held + ` LIMIT 1)), '')`,
		advice:        "SELECT pg_terminate_backend(its number)",
		sessionBroken: "the server was restarted, the connection broke or somebody ended it, or a pooler gave it to another (connect to the server itself)",
	}}
}

// NewMySQL returns GET_LOCK's lock of an instance. MySQL and MariaDB keep it on
// one server: of a cluster, all agents must connect to the same.
func NewMySQL(instance string, open func(ctx context.Context) (Session, error)) *Database {
	sum := lockSum(instance)
	name := "'dbacked " + hex.EncodeToString(sum[:16]) + "'" // 64 characters at most
	return &Database{open: open, every: watchEvery, dialect: dialect{
		what: "lock " + name + " (GET_LOCK)",
		take: "SELECT GET_LOCK(" + name + ", 0)",
		give: "SELECT RELEASE_LOCK(" + name + ")",
		mine: "SELECT IS_USED_LOCK(" + name + ") = CONNECTION_ID()",
		who: `SELECT CONCAT('connection ', id, ' of user ', user, ' from ', host, ', its last statement ', time, ' s ago')
			FROM information_schema.processlist WHERE id = IS_USED_LOCK(` + name + `)
			UNION ALL SELECT CONCAT('connection ', IS_USED_LOCK(` + name + `)) LIMIT 1`,
		advice:        "KILL its number",
		sessionBroken: "the server was restarted, the connection broke or somebody ended it",
	}}
}

func lockSum(instance string) [sha256.Size]byte {
	return sha256.Sum256([]byte("dbacked backup of " + instance))
}

// Acquire opens a session and takes the lock in it, or says ErrHeld at once. The
// context that it returns ends when ctx does, when the lock is given back, and
// with ErrLost as cause when the session ends or no longer holds the lock. The
// function gives the lock back and closes the session; it may be called again.
func (d *Database) Acquire(ctx context.Context) (context.Context, func(), error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	opened, err := d.open(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("lock: a session of its own for %s: %w", d.dialect.what, err)
	}
	s := &alone{Session: opened}
	if err := d.take(ctx, s); err != nil {
		_ = s.Close()
		return nil, nil, err
	}
	d.hold(s)
	run, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(run, end, s) })
	return run, sync.OnceFunc(func() {
		end(nil)
		watching.Wait()
		d.hold(nil)
		// Closing it frees the lock too, but the server may do that later.
		_, _ = d.ask(context.WithoutCancel(ctx), s, d.dialect.give)
		_ = s.Close()
	}), nil
}

func (d *Database) hold(s Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = s
}

// Confirm asks the server whether the session that Acquire opened holds the lock
// yet, and says ErrLost if not. Its end is else noticed some seconds later: a run
// is to ask before it commits.
func (d *Database) Confirm(ctx context.Context) error {
	d.mu.Lock()
	s := d.held
	d.mu.Unlock()
	if s == nil {
		return fmt.Errorf("%w: %s is not held", ErrLost, d.dialect.what)
	}
	return d.check(context.WithoutCancel(ctx), s)
}

func (d *Database) take(ctx context.Context, s Session) error {
	taken, err := d.ask(ctx, s, d.dialect.take)
	switch {
	case err != nil:
		return fmt.Errorf("lock: taking %s: %w", d.dialect.what, err)
	case taken == yes:
		return d.check(ctx, s)
	}
	who, err := d.ask(ctx, s, d.dialect.who)
	if err != nil || who == "" {
		who = "who holds it is not to be seen" // it may just have ended
	}
	return fmt.Errorf("%w: %s has the %s: wait until it ends; if its host is dead and the server has not noticed, end it there: %s",
		ErrHeld, printable(who), d.dialect.what, d.dialect.advice)
}

// check says whether this session holds the lock.
func (d *Database) check(ctx context.Context, s Session) error {
	mine, err := d.ask(ctx, s, d.dialect.mine)
	if err == nil && mine != yes {
		err = errors.New("this session does not hold it")
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w: %s; run again", ErrLost, d.dialect.what, err, d.dialect.sessionBroken)
	}
	return nil
}

// watch ends the run when its session ends. A question is not broken off with the
// run: the driver would close the session, and the lock would go at some time.
func (d *Database) watch(run context.Context, end context.CancelCauseFunc, s Session) {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		select {
		case <-run.Done():
			return
		case <-tick.C:
		}
		if err := d.check(context.WithoutCancel(run), s); err != nil {
			end(err)
			return
		}
	}
}

func (d *Database) ask(ctx context.Context, s Session, statement string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer within %s", askLimit))
	defer cancel()
	answer, err := s.Ask(ctx, statement)
	return answer, told(ctx, err)
}
