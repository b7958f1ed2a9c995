package dumper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

const (
	snapshotSeeds   = 4 // unless DBACKED_TEST_SNAPSHOTS says another number
	snapshotWorkers = 3
)

// snapshotStart is what each storm begins with. The table log has every change
// since, in order: so what a snapshot holds can be made again from nothing.
const snapshotStart = `CREATE SCHEMA y; CREATE TABLE log (n int, sql text);
	DO $$ DECLARE n text; BEGIN FOREACH n IN ARRAY ARRAY['a', 'b', 'c', 'd'] LOOP
		EXECUTE format('CREATE TABLE %I AS SELECT i, %L || i AS t FROM generate_series(1, 2000) i', n, n);
	END LOOP; END $$;`

// snapshotChange is a random change. It may not be possible, and is then skipped.
func snapshotChange(r *rand.Rand, n int) string {
	names := []string{"a", "b", "c", "d", "e", "y.a", "z.a"}
	name, other := names[r.IntN(len(names))], names[r.IntN(5)]
	switch r.IntN(12) {
	case 0, 1:
		return "TRUNCATE " + name
	case 2:
		return fmt.Sprintf("ALTER TABLE %s ALTER i TYPE %s", name, []string{"bigint", "int", "numeric"}[r.IntN(3)]) // rewrites it
	case 3:
		return "DROP TABLE " + name
	case 4, 5:
		return fmt.Sprintf("CREATE TABLE %s AS SELECT i, '%d' || i AS t FROM generate_series(1, 1000) i", name, n)
	case 6:
		return fmt.Sprintf("ALTER TABLE %s RENAME TO %s", name, other)
	case 7:
		return []string{"ALTER SCHEMA y RENAME TO z", "ALTER SCHEMA z RENAME TO y"}[r.IntN(2)]
	case 8:
		return fmt.Sprintf("UPDATE %s SET t = '%d' WHERE i %% 7 = %d", name, n, r.IntN(7))
	case 9:
		return fmt.Sprintf("DELETE FROM %s WHERE i %% 11 = %d", name, r.IntN(11))
	}
	return fmt.Sprintf("INSERT INTO %s SELECT i, 'new %d' FROM generate_series(1, 100) i", name, n)
}

// snapshotStorm changes a database until stop; how often, is what it returns.
func snapshotStorm(ctx context.Context, db *pgDB, r *rand.Rand, patience string, stop chan struct{}) (changes int) {
	_, _ = db.Exec(ctx, "SELECT set_config('application_name', 'storm', false), set_config('search_path', 'public', false), set_config('lock_timeout', $1, false)", patience)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return changes
		default:
		}
		change := snapshotChange(r, n)
		_, err := db.PgConn().Exec(ctx, fmt.Sprintf("BEGIN; %s; INSERT INTO public.log VALUES (%d, $x$%s$x$); COMMIT", change, n, change)).ReadAll()
		if err != nil {
			_, _ = db.Exec(ctx, "ROLLBACK") // what is not possible, or waits for too long, did not happen
		} else {
			changes++
		}
	}
}

// TestSnapshotStorm dumps parts of databases whose tables another session
// truncates, rewrites, drops, makes and renames meanwhile. Each run ends in parts
// that hold exactly what a number of its changes make, or in an error with a name.
func TestSnapshotStorm(t *testing.T) {
	t.Parallel()
	seeds := uint64(snapshotSeeds)
	if text := os.Getenv("DBACKED_TEST_SNAPSHOTS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatalf("DBACKED_TEST_SNAPSHOTS: %v", err)
		}
		seeds = n
	}
	server := dbtest.Postgres(t)
	next := make(chan uint64, seeds)
	for seed := range seeds {
		next <- seed
	}
	close(next)
	var mu sync.Mutex
	outcomes := map[string]int{}
	var workers sync.WaitGroup
	for range snapshotWorkers {
		workers.Go(func() {
			for seed := range next {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					outcome := snapshotRun(t, server, seed)
					mu.Lock()
					defer mu.Unlock()
					outcomes[outcome]++
				})
			}
		})
	}
	workers.Wait()
	t.Logf("%d seeded runs: %v", seeds, outcomes)
	if good := outcomes["equal"]; good == 0 {
		t.Error("none was equal: nothing was shown")
	}
}

func snapshotRun(t *testing.T, server *dbtest.Server, seed uint64) (outcome string) {
	r := rand.New(rand.NewPCG(seed, 0))
	name := fmt.Sprintf("storm%d", seed)
	pgExec(t, server, "postgres", "CREATE DATABASE "+name)
	pgExec(t, server, name, snapshotStart)
	p := pgFor(t, server, name)
	p.limits.Lock = 3 * time.Second
	db, err := p.connect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	// Every fourth waits for longer than it is let: then the dump gives way.
	patience, options := "30ms", SnapshotOptions{Jobs: pgMaxJobs, Large: 1}
	if seed%4 == 3 {
		patience, options.BlockLimit = "0", 300*time.Millisecond
	}
	stop, changes := make(chan struct{}), make(chan int, 1)
	go func() { changes <- snapshotStorm(context.Background(), db, r, patience, stop) }()
	archives, s, err := snapshotParts(t, p, options)
	close(stop)
	t.Logf("%d changes", <-changes)
	if err != nil {
		return snapshotFailure(t, err)
	}
	pgExec(t, server, "postgres", "CREATE DATABASE "+name+"_copy")
	pgRestoreParts(t, server, server.Bin, name+"_copy", s.Parts(), archives, "")
	again, err := pgFor(t, server, name+"_copy").connect(t.Context(), name+"_copy")
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	replay, err := again.list(t.Context(), "SELECT sql || '; INSERT INTO public.log VALUES (' || n || ', $x$' || sql || '$x$)' FROM public.log ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	pgExec(t, server, "postgres", "CREATE DATABASE "+name+"_again")
	server.SQL(t, name+"_again", snapshotStart+strings.Join(replay, ";\n"))
	if got, want := sortedDump(t, server, name+"_copy"), sortedDump(t, server, name+"_again"); got != want {
		t.Errorf("after %d changes the copy differs: %s", len(replay), firstDifference(got, want))
		return "different"
	}
	for _, suffix := range []string{"_copy", "_again"} {
		again.close()
		pgExec(t, server, "postgres", "DROP DATABASE "+name+suffix)
	}
	return "equal"
}

// snapshotParts takes a snapshot and dumps its parts.
func snapshotParts(t *testing.T, p *Postgres, o SnapshotOptions) (map[string][]byte, *Snapshot, error) {
	s, err := p.Snapshot(t.Context(), o)
	if err != nil {
		return nil, nil, err
	}
	archives, err := pgDumpParts(t, s)
	return archives, s, err
}

// snapshotFailure is the name of an error; one without a name fails the test.
func snapshotFailure(t *testing.T, err error) string {
	t.Log(err)
	switch {
	case errors.Is(err, ErrYield) && strings.Contains(err.Error(), "renamed"):
		return "a schema was renamed"
	case errors.Is(err, ErrYield):
		return "gave way"
	case errors.Is(err, ErrNotShared):
		return "not shared"
	}
	t.Errorf("an error without a name: %v", err)
	return "without a name"
}

// sortedDump is a plain dump, in which the order of rows does not matter.
func sortedDump(t *testing.T, server *dbtest.Server, name string) string {
	t.Helper()
	lines := strings.Split(server.PlainDump(t, name), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
