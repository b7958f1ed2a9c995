package dumper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const (
	myStormSeeds = 2 // unless DBACKED_TEST_SNAPSHOTS says another number

	// Two tables fill a pipe: what is behind them in a part is read late.
	myStormRows  = " WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000) SELECT i, REPEAT('x', 700) FROM s"
	myStormStart = "CREATE TABLE a (i int PRIMARY KEY, t text); CREATE TABLE b LIKE a; CREATE TABLE c LIKE a; CREATE TABLE d LIKE a; CREATE TABLE log (n int PRIMARY KEY);" +
		"INSERT INTO a" + myStormRows + "; INSERT INTO b" + myStormRows + "; INSERT INTO c" + myStormRows + "; INSERT INTO d" + myStormRows
)

// myStorm changes a database, and keeps what it did.
type myStorm struct {
	calm bool // nothing is defined otherwise
	mu   sync.Mutex
	done []string
}

func (s *myStorm) changes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[:len(s.done):len(s.done)]
}

// myChange is a random change, which may not be possible.
func myChange(r *rand.Rand, n int, calm bool) string {
	names := []string{"a", "b", "c", "d", "e"}
	name, other := names[r.IntN(5)], names[r.IntN(5)]
	kind := r.IntN(100)
	if calm {
		kind = -1
	}
	switch kind {
	case 0:
		return "TRUNCATE " + name
	case 1:
		return fmt.Sprintf("ALTER TABLE %s MODIFY i %s", name, []string{"bigint", "int"}[r.IntN(2)])
	case 2:
		return "DROP TABLE " + name
	case 3:
		return fmt.Sprintf("CREATE TABLE %s (i int PRIMARY KEY, t text)", name)
	case 4:
		return fmt.Sprintf("RENAME TABLE %s TO %s", name, other)
	case 5:
		return fmt.Sprintf("RENAME TABLE %s TO x, %s TO %s, x TO %s", name, other, name, other)
	case 6:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN k%d int DEFAULT 7", name, n)
	}
	return fmt.Sprintf([]string{
		"UPDATE %s SET t = '%d' WHERE i %% 7 = 3", "DELETE FROM %s WHERE i %% 11 = %d", "INSERT IGNORE INTO %s (i, t) VALUES (%d + 5000, 'new')",
	}[r.IntN(3)], name, n)
}

// run changes the database until stop. A change is in the log before the next one.
func (s *myStorm) run(ctx context.Context, m *MySQL, r *rand.Rand, stop chan struct{}) error {
	session, err := m.open(ctx, m.conn.Database)
	if err != nil {
		return err
	}
	defer session.close()
	if err := session.exec(ctx, "SET SESSION lock_wait_timeout = 1"); err != nil {
		return err
	}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		change := myChange(r, n, s.calm)
		s.mu.Lock()
		s.done = append(s.done, change)
		s.mu.Unlock()
		if session.exec(ctx, change) != nil { // it did not happen
			s.mu.Lock()
			s.done = s.done[:len(s.done)-1]
			s.mu.Unlock()
			continue
		}
		if err := session.exec(ctx, fmt.Sprintf("INSERT INTO log VALUES (%d)", len(s.changes()))); err != nil {
			return err
		}
	}
}

// testMySQLPartsStorm dumps parts of databases whose tables another session
// truncates, rewrites, drops, makes and renames meanwhile. Each run ends in parts
// that hold exactly what a number of its changes make, or in an error with a name.
func testMySQLPartsStorm(t *testing.T, server *dbtest.Server) {
	seeds := uint64(myStormSeeds)
	if text := os.Getenv("DBACKED_TEST_SNAPSHOTS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatalf("DBACKED_TEST_SNAPSHOTS: %v", err)
		}
		seeds = n
	}
	outcomes := map[string]int{}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { outcomes[myStormRun(t, server, seed)]++ })
	}
	t.Logf("%d seeded runs: %v", seeds, outcomes)
	if outcomes["equal"] == 0 { // at least the calm ones
		t.Error("none was equal: nothing was shown")
	}
}

func myStormRun(t *testing.T, server *dbtest.Server, seed uint64) (outcome string) {
	r := rand.New(rand.NewPCG(seed, 0))
	server.SQL(t, "", "CREATE DATABASE storm")
	defer server.SQL(t, "", "DROP DATABASE storm")
	server.SQL(t, "storm", myStormStart)
	m := mysqlFor(t, server, "storm")
	m.limits.Lock = 3 * time.Second
	storm, stop, ended := &myStorm{calm: seed%4 == 0}, make(chan struct{}), make(chan error, 1)
	go func() { ended <- storm.run(context.Background(), m, rand.New(rand.NewPCG(seed, 1)), stop) }()
	s, err := m.Snapshot(t.Context(), SnapshotOptions{Jobs: 2})
	var dumps map[string][]byte
	if err == nil {
		// So many changes come between the snapshot and most of its rows.
		for until := len(storm.changes()) + r.IntN(12); len(storm.changes()) < until && len(ended) == 0; {
			time.Sleep(time.Millisecond)
		}
		dumps, err = myDumpParts(s)
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		return snapshotFailure(t, err)
	}
	copied := mysqlFor(t, server, "storm_copy")
	if err := copied.RestoreParts(t.Context(), mySources(s, dumps), 2, RestoreOptions{Create: true}); err != nil {
		t.Error(err)
		return "not restored"
	}
	defer server.SQL(t, "", "DROP DATABASE storm_copy")
	logged, err := strconv.Atoi(server.SQL(t, "storm_copy", "SELECT COUNT(*) FROM log"))
	if err != nil {
		t.Fatal(err)
	}
	server.SQL(t, "storm_copy", "DROP TABLE log")
	got := server.PlainDump(t, "storm_copy")
	changes := storm.changes()
	for n := logged; n <= min(logged+1, len(changes)); n++ { // one may be done and not logged yet
		again := "storm_again" + strconv.Itoa(n)
		server.SQL(t, "", "CREATE DATABASE "+again)
		server.SQL(t, again, strings.Join(append([]string{myStormStart}, changes[:n]...), ";\n")+"; DROP TABLE log")
		want := strings.ReplaceAll(server.PlainDump(t, again), "'"+again+"'", "'storm_copy'")
		server.SQL(t, "", "DROP DATABASE "+again)
		if want == got {
			return "equal"
		}
		t.Logf("after %d of %d changes: %s", n, len(changes), firstDifference(got, want))
	}
	t.Errorf("after %d changes the copy differs", logged)
	return "different"
}
