package dumper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// myBig has a table that does not fit into a pipe, and a small one.
const myBig = "CREATE TABLE big (i int PRIMARY KEY, t text); CREATE TABLE few (i int PRIMARY KEY); INSERT INTO few VALUES (1);" +
	"INSERT INTO big WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000) SELECT i, REPEAT('x', 3000) FROM s"

// mySession is a session of its own on a test's server.
func mySession(t testing.TB, m *MySQL) *sql.Conn {
	t.Helper()
	s, err := m.open(t.Context(), m.conn.Database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	conn, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func wantNoSnapshot(t testing.TB, m *MySQL, kind error, words ...string) {
	t.Helper()
	s, err := m.Snapshot(t.Context(), SnapshotOptions{Jobs: 2})
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, kind) {
		t.Errorf("the error is no %q: %v", kind, err)
	}
	wantMySQLError(t, err, words...)
}

func testMySQLPartsRefused(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE refused; CREATE USER limited@'%' IDENTIFIED BY 'pw'; GRANT ALL ON refused.* TO limited@'%'")
	server.SQL(t, "refused", myBig)
	for _, option := range []string{"--ignore-table=refused.few", "--lock-all-tables", "--flush-logs", "--replace", "--no-data"} {
		wantNoSnapshot(t, mysqlFor(t, server, "refused", mysqlOptions(option)), ErrNotShared, strings.SplitN(option, "=", 2)[0])
	}
	limited := mysqlFor(t, server, "refused", as(server, "limited", "pw"))
	wantNoSnapshot(t, limited, ErrNotShared, "GRANT PROCESS ON *.* TO 'limited'@'%'")
	server.SQL(t, "", "GRANT PROCESS ON *.* TO limited@'%'")
	grant := "RELOAD"
	if server.Engine == "mysql" {
		grant = "FLUSH_TABLES"
	}
	wantNoSnapshot(t, limited, ErrNotShared, "GRANT "+grant+" ON *.* TO 'limited'@'%'")
	server.SQL(t, "", "GRANT "+grant+" ON *.* TO limited@'%'")
	if _, _, err := myTake(t.Context(), limited, 2); err != nil {
		t.Errorf("with these rights: %v", err)
	}
	server.SQL(t, "refused", "CREATE TABLE old (i int) ENGINE = MyISAM")
	m := mysqlFor(t, server, "refused")
	if _, _, err := myTake(t.Context(), m, 2); err != nil {
		t.Errorf("with an empty table without transactions: %v", err)
	}
	server.SQL(t, "refused", "INSERT INTO old VALUES (1)")
	wantNoSnapshot(t, m, ErrNotShared, "old", "ENGINE = InnoDB")
	for least, want := range map[int64]bool{1: true, 1 << 30: false} {
		if got, err := m.Splits(t.Context(), SnapshotOptions{Jobs: 2, Large: least}); got != want || err != nil {
			t.Errorf("with tables of %d bytes: %t, %v", least, got, err)
		}
	}
}

func testMySQLPartsYield(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE yields")
	server.SQL(t, "yields", myBig)
	m := mysqlFor(t, server, "yields")
	m.limits.Lock = time.Second
	t.Run("a statement runs", func(t *testing.T) {
		conn := mySession(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := conn.ExecContext(ctx, "UPDATE few SET i = i + SLEEP(30)")
			ended <- err
		}()
		for server.SQL(t, "", "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE few%'") != "1" {
			time.Sleep(time.Millisecond)
		}
		wantNoSnapshot(t, m, ErrNotShared, "held the moment of the snapshot up for longer than 1s")
		server.SQL(t, "", "KILL "+server.SQL(t, "", "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE few%'"))
		cancel()
		<-ended
	})
	for name, change := range map[string]string{
		"a table is emptied":  "TRUNCATE few",
		"a table is altered":  "ALTER TABLE few ADD COLUMN j int",
		"a table is dropped":  "DROP TABLE few",
		"tables are renamed":  "RENAME TABLE few TO later",
		"a view is made":      "CREATE VIEW seen AS SELECT 1",
		"a routine is made":   "CREATE PROCEDURE p() SELECT 1",
		"a trigger is made":   "CREATE TRIGGER tr BEFORE INSERT ON few FOR EACH ROW SET NEW.i = 1",
		"an index is made":    "CREATE INDEX x ON few (i)",
		"a program is killed": "",
		"it is not dumped":    "",
	} {
		t.Run(name, func(t *testing.T) {
			server.SQL(t, "", "DROP DATABASE yields; CREATE DATABASE yields")
			server.SQL(t, "yields", myBig)
			s, err := m.Snapshot(t.Context(), SnapshotOptions{Jobs: 1}) // the small table is read after the large one
			if err != nil {
				t.Fatal(err)
			}
			switch name {
			case "a program is killed":
				s.runs["data-1"].process.Kill()
				var exit *ExitError
				if err := s.Dump(t.Context(), s.Parts()[1], io.Discard); !errors.As(err, &exit) {
					t.Errorf("the error is %v", err)
				}
				wantMySQLError(t, s.Close(), "the part schema was not dumped")
			case "it is not dumped":
				wantMySQLError(t, s.Dump(t.Context(), Part{Name: "data-7"}, io.Discard), "data-7")
				wantMySQLError(t, s.Close(), "was not dumped")
			default:
				server.SQL(t, "yields", change)
				if _, err := myDumpParts(s); !errors.Is(err, ErrYield) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

// testMySQLPartsConsistent moves amounts between tables of different parts while
// they are dumped.
func testMySQLPartsConsistent(t *testing.T, server *dbtest.Server) {
	server.SQL(t, "", "CREATE DATABASE moves")
	server.SQL(t, "moves", "CREATE TABLE a (v int); CREATE TABLE b (v int); INSERT INTO a VALUES (0); INSERT INTO b VALUES (0)")
	m := mysqlFor(t, server, "moves")
	conn := mySession(t, m)
	stop, ended := make(chan struct{}), make(chan error, 1)
	var moved atomic.Int64
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			for _, statement := range []string{"BEGIN", "UPDATE a SET v = v - 1", "UPDATE b SET v = v + 1", "COMMIT"} {
				if _, err := conn.ExecContext(context.Background(), statement); err != nil {
					ended <- err
					return
				}
			}
			moved.Add(1)
		}
	}()
	for i := range 3 {
		before := moved.Load()
		for moved.Load() == before && len(ended) == 0 {
			time.Sleep(time.Millisecond)
		}
		s, dumps, err := myTake(t.Context(), m, 2)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("moved%d", i)
		if err := mysqlFor(t, server, name).RestoreParts(t.Context(), mySources(s, dumps), 2, RestoreOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
		if got := server.SQL(t, name, "SELECT a.v + b.v, a.v <> 0 FROM a, b"); got != "0\t1" {
			t.Errorf("the tables are of different moments: %s", got)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
