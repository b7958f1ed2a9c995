// Package records is what the DBacked service knows: projects, their keys, and
// what became of each backup. It is kept in SQLite, or, for several replicas, in
// PostgreSQL; both are migrated when they are opened.
//
//	s, err := records.Open(ctx, "sqlite:/var/lib/dbacked-server/server.db", records.Options{Next: next})
//	b, lease, err := s.Give(ctx, project, records.Ask{AgentID: "a"}, time.Now())
//
// # The states of a backup
//
//	open        given to an agent, which uploads; while its lease lives it holds the
//	            project's lock
//	completing  its agent said DONE, and a replica joins what was uploaded
//	done        the only success
//	failed      its agent said ERROR
//	lost        its lease was over when another agent asked
//
// open becomes each of the others. lost becomes done when its agent says so late
// and all of it is there. done never changes. What completes and is given up (its
// parts are not all there) becomes what it was.
//
// # What becomes of its files
//
//	(nothing)  they are there, or are still to come
//	deleted    a rule, or somebody, took the backup away: nobody sees it, its files are
//	           there until the grace is over, and it can be undeleted
//	removing   a replica removes its files, or did and was stopped: another goes on
//	removed    they are gone; the record stays
//
// Only a backup that is done is deleted. The files of a failed one, and of one that was
// lost for a day, are removed without that: a DONE that comes after it began finds the
// backup over. See [Removal].
//
// Each method that changes something is one transaction on the project's row, and
// can be repeated: with the same words the outcome is the same.
//
// Times are given by the caller: the service has one clock, not the database.
package records

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Errors that a method returns, wrapped or not.
var (
	ErrNotFound = errors.New("there is none")
	ErrTaken    = errors.New("the name is taken")
	ErrNotDue   = errors.New("no backup is due")
	ErrLost     = errors.New("the backup is over, or was given to another agent")
	ErrConflict = errors.New("it was said before, and differently")

	ErrNotDone = errors.New("the backup is not done")
	ErrLast    = errors.New("it is the last good backup")
	ErrKept    = errors.New("the backup is kept")
	ErrRemoved = errors.New("the backup's files are removed, or are being removed")
)

// Options sets how backups are given.
type Options struct {
	// Next is when a project's backup is due after a time; the zero time: never.
	Next func(p Project, after time.Time) time.Time
	// Lease is for how long an agent holds a backup without a word; 0 means 5
	// minutes. OldLease is the same for agents of 2018, which send no heartbeats
	// and may need half an hour for a part; 0 means 2 hours.
	Lease, OldLease time.Duration
	// Completing is how long a replica may take to complete a backup before another
	// may try: one may have been killed. 0 means 3 minutes.
	Completing time.Duration
	// SweepFailed and SweepLost are how long the files of a failed and of a lost backup
	// are left alone; 0 means 15 minutes and 24 hours. SweepAgain is when they are
	// removed once more, for what came meanwhile; 0 means 24 hours.
	SweepFailed, SweepLost, SweepAgain time.Duration
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{
		{&o.Lease, 5 * time.Minute},
		{&o.OldLease, 2 * time.Hour},
		{&o.Completing, 3 * time.Minute},
		{&o.SweepFailed, 15 * time.Minute},
		{&o.SweepLost, 24 * time.Hour},
		{&o.SweepAgain, 24 * time.Hour},
	} {
		if *d.of <= 0 {
			*d.of = d.otherwise
		}
	}
	return o
}

// Store is what is known. Its methods may be called from several goroutines, and
// several Stores may share a PostgreSQL database.
type Store struct {
	db       *database
	postgres bool
	options  Options
	seen     *sightings
	flushing sync.WaitGroup
	stop     context.CancelFunc
}

const (
	sqlitePrefix = "sqlite:"
	busyTimeout  = 10 * time.Second
	connections  = 16
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens "sqlite:PATH", which it makes (mode 0600), or a "postgres://…" URL,
// and brings it up to date.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	s := &Store{options: o.withDefaults(), seen: newSightings(), db: &database{}}
	var err error
	if path, ok := strings.CutPrefix(dsn, sqlitePrefix); ok {
		s.db.DB, err = openSQLite(path)
	} else {
		s.postgres = true
		s.db.DB, err = openPostgres(dsn)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	s.db.SetMaxOpenConns(connections)
	s.db.SetMaxIdleConns(connections)
	if err := s.migrate(ctx); err != nil {
		_ = s.db.Close()
		return nil, fmt.Errorf("bringing the database up to date: %w", err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.flushing.Go(func() { s.flushEach(life, flushInterval) })
	return s, nil
}

// openPostgres bounds what a replica that vanishes can hold up: a row stays locked
// for a minute at most.
func openPostgres(dsn string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the URL is not one of PostgreSQL: postgres://USER:PASSWORD@HOST/DATABASE") // it may hold a password
	}
	return stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '30s'")
		return err
	})), nil
}

func openSQLite(path string) (*sql.DB, error) {
	// One that is there is left alone: to close it would drop SQLite's locks on it.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)",
		strings.NewReplacer("?", "%3f", "#", "%23", "%", "%25").Replace(path), busyTimeout.Milliseconds()))
}

func (s *Store) migrate(ctx context.Context) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{}
	if s.postgres {
		locker, err := lock.NewPostgresSessionLocker() // replicas start together
		if err != nil {
			return err
		}
		dialect, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, s.db.DB, folder, options...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close writes what is not yet written, and lets go of the database.
func (s *Store) Close() error {
	s.stop()
	s.flushing.Wait()
	return errors.Join(s.flush(context.Background()), s.db.Close())
}

// Kind is what the database is: sqlite or postgresql.
func (s *Store) Kind() string {
	if s.postgres {
		return "postgresql"
	}
	return "sqlite"
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

// tx runs f in one transaction.
func (s *Store) tx(ctx context.Context, f func(t *sql.Tx) error) error {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.db.count(err)
	}
	if err := f(t); err != nil {
		_ = t.Rollback()
		return s.db.count(err)
	}
	return s.db.count(t.Commit())
}

// forUpdate ends a query whose rows stay as they are until the transaction ends. In
// SQLite there is one writer anyway.
func (s *Store) forUpdate(query string) string {
	if s.postgres {
		return query + " FOR UPDATE"
	}
	return query
}

// affected says ErrNotFound of a statement that changed nothing.
func affected(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// found makes ErrNotFound of sql.ErrNoRows.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// millis is a time as it is stored.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// ofMillis is a length of time as it is stored.
func ofMillis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
