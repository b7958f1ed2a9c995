package locker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

type pgSession struct{ *pgx.Conn }

func (s pgSession) Ask(ctx context.Context, statement string) (answer string, err error) {
	var cell *string
	if err := s.QueryRow(ctx, statement).Scan(&cell); err != nil || cell == nil {
		return "", err
	}
	return *cell, nil
}

func (s pgSession) Close() error { return s.Conn.Close(context.Background()) }

type mySession struct {
	*sql.Conn
	db *sql.DB
}

func (s mySession) Ask(ctx context.Context, statement string) (string, error) {
	var cell sql.NullString
	err := s.QueryRowContext(ctx, statement).Scan(&cell)
	return cell.String, err
}

func (s mySession) Close() error { return errors.Join(s.Conn.Close(), s.db.Close()) }

// engine is a real server, and how a session of a user of it is had.
type engine struct {
	*dbtest.Server
	lock func(instance, user string) *Database
	// end ends the session that holds the lock of an instance, by what the
	// message of another says.
	end func(t *testing.T, held error)
}

func postgres(t *testing.T) engine {
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", "CREATE ROLE backup LOGIN; CREATE ROLE other LOGIN")
	return engine{
		s,
		func(instance, user string) *Database {
			return fast(NewPostgres(instance, func(ctx context.Context) (Session, error) {
				conn, err := pgx.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres application_name=dbacked", s.Port, user))
				if err != nil {
					return nil, err
				}
				return pgSession{conn}, nil
			}))
		},
		func(t *testing.T, held error) {
			s.SQL(t, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", number(t, held, "server process %d of")))
		},
	}
}

func maria(t *testing.T) engine { return mysqlEngine(t, dbtest.MariaDB(t)) }

func oracle(t *testing.T) engine { return mysqlEngine(t, dbtest.MySQLFrom(t, dbtest.Chroot(t, "sid"))) }

func mysqlEngine(t *testing.T, s *dbtest.Server) engine {
	s.SQL(t, "", "CREATE USER backup@'%'; CREATE USER other@'%'")
	return engine{
		s,
		func(instance, user string) *Database {
			return fast(NewMySQL(instance, func(ctx context.Context) (Session, error) {
				db, err := open(fmt.Sprintf("%s@tcp(%s)/", user, s.Addr()))
				if err != nil {
					return nil, err
				}
				conn, err := db.Conn(ctx)
				if err != nil {
					db.Close()
					return nil, err
				}
				return mySession{conn, db}, nil
			}))
		},
		func(t *testing.T, held error) {
			s.SQL(t, "", fmt.Sprintf("KILL %d", number(t, held, "connection %d")))
		},
	}
}

// open is sql.Open for a driver that keeps quiet about broken connections.
func open(dsn string) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// fast looks at the session more often than a second would allow.
func fast(d *Database) *Database { d.every = 20 * time.Millisecond; return d }

// number is what a message says in place of %d.
func number(t *testing.T, err error, format string) (n int) {
	t.Helper()
	before, _, _ := strings.Cut(format, "%")
	_, after, _ := strings.Cut(err.Error(), before)
	if _, scanErr := fmt.Sscanf(before+after, format, &n); scanErr != nil {
		t.Fatalf("%q does not say %q", err, format)
	}
	return n
}

func TestDatabase(t *testing.T) {
	for name, start := range map[string]func(*testing.T) engine{"postgresql": postgres, "mariadb": maria, "mysql": oracle} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			t.Run("held", func(t *testing.T) { databaseHeld(t, e) })
			t.Run("race", func(t *testing.T) { databaseRace(t, e) })
			t.Run("session ended", func(t *testing.T) { databaseEnds(t, e) })
			t.Run("run ended", func(t *testing.T) { databaseRunEnds(t, e) })
			t.Run("server ended", func(t *testing.T) { databaseStops(t, e) })
		})
	}
}

func databaseHeld(t *testing.T, e engine) {
	run, release := eventually(t, e.lock("shop", "backup"))
	_, _, err := e.lock("shop", "backup").Acquire(t.Context())
	contains(t, err, ErrHeld, "user backup", "from", "wait until it ends", "end it there")
	_, _, err = e.lock("shop", "other").Acquire(t.Context()) // who may not see whose it is
	contains(t, err, ErrHeld, "wait until it ends")
	if strings.Contains(err.Error(), "unknown") {
		t.Errorf("message %q", err)
	}
	for _, instance := range []string{"shop2", "sho", `we ird"s'$😀`, strings.Repeat("x", 500), ""} {
		_, free, err := e.lock(instance, "backup").Acquire(t.Context())
		if err != nil {
			t.Fatalf("%.20q: %v", instance, err)
		}
		free()
	}
	if err := context.Cause(run); err != nil {
		t.Error(err)
	}
	release()
	release()
	if err := context.Cause(run); !errors.Is(err, context.Canceled) {
		t.Errorf("after the release: %v", err)
	}
	_, free, err := e.lock("shop", "other").Acquire(t.Context())
	if err != nil {
		t.Fatalf("it is not free at once: %v", err)
	}
	free()
}

func databaseRace(t *testing.T, e engine) {
	var winners atomic.Int32
	var all, asked sync.WaitGroup
	asked.Add(8)
	for range 8 {
		lock := e.lock("race", "backup")
		all.Go(func() {
			_, release, err := lock.Acquire(t.Context())
			asked.Done()
			asked.Wait()
			switch {
			case err == nil:
				winners.Add(1)
				release()
			case !errors.Is(err, ErrHeld):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("%d winners", n)
	}
}

func databaseEnds(t *testing.T, e engine) {
	lock := e.lock("shop", "backup")
	run, release := eventually(t, lock)
	defer release()
	_, _, held := e.lock("shop", "backup").Acquire(t.Context())
	err := lock.Confirm(t.Context())
	if err != nil {
		t.Errorf("while it is held: %v", err)
	}
	e.end(t, held)
	contains(t, lock.Confirm(t.Context()), ErrLost, "run again")
	<-run.Done()
	contains(t, context.Cause(run), ErrLost, "the connection broke or somebody ended it", "run again")
	release()
	contains(t, All(lock).(all).Confirm(t.Context()), ErrLost, "is not held")
	_, free := eventually(t, e.lock("shop", "backup"))
	free()
}

func databaseRunEnds(t *testing.T, e engine) {
	cause := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	lock := e.lock("shop", "backup")
	run, release, err := lock.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	<-run.Done()
	if got := context.Cause(run); !errors.Is(got, cause) {
		t.Errorf("cause %v", got)
	}
	if _, _, err := lock.Acquire(t.Context()); !errors.Is(err, ErrHeld) {
		t.Errorf("it cleans up yet, but: %v", err)
	}
	if _, _, err := lock.Acquire(ctx); !errors.Is(err, cause) {
		t.Errorf("asked with a context that ended: %v", err)
	}
	release()
	_, free, err := lock.Acquire(t.Context())
	if err != nil {
		t.Fatalf("it is not free at once: %v", err)
	}
	free()
}

func databaseStops(t *testing.T, e engine) {
	lock := e.lock("shop", "backup")
	run, release := eventually(t, lock)
	e.Stop(t)
	<-run.Done()
	contains(t, context.Cause(run), ErrLost, "the server was restarted")
	release()
	_, _, err := lock.Acquire(t.Context())
	contains(t, err, nil, "a session of its own")
	if errors.Is(err, ErrHeld) || errors.Is(err, ErrLost) {
		t.Errorf("error %v", err)
	}
}
