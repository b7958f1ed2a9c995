//go:build bench

package main

// Comparisons with the databases' own tools, run by make bench. They measure
// ratios in one run, as medians of alternating rounds: machines are noisy. The
// stores and the copies lie in memory, so that no disk decides.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// contest is a set of commands that do the same thing.
type contest struct {
	t       *testing.T
	rounds  int
	names   []string
	actions map[string]func() time.Duration
	times   map[string][]time.Duration
}

func newContest(t *testing.T, rounds int) *contest {
	return &contest{t: t, rounds: rounds, actions: map[string]func() time.Duration{}, times: map[string][]time.Duration{}}
}

func (c *contest) add(name string, action func() time.Duration) {
	c.names = append(c.names, name)
	c.actions[name] = action
}

// run alternates between the commands and prints their medians, as ratios of
// the first one's.
func (c *contest) run(title string) map[string]time.Duration {
	for range c.rounds {
		for _, name := range c.names {
			c.times[name] = append(c.times[name], c.actions[name]())
		}
	}
	medians := map[string]time.Duration{}
	fmt.Printf("\n%s (medians of %d alternating rounds)\n", title, c.rounds)
	for _, name := range c.names {
		slices.Sort(c.times[name])
		medians[name] = c.times[name][c.rounds/2]
		first := medians[c.names[0]]
		fmt.Printf("  %-58s %8.2f s  %5.2f ×   (%.2f … %.2f)\n", name, medians[name].Seconds(), float64(medians[name])/float64(first),
			c.times[name][0].Seconds(), c.times[name][c.rounds-1].Seconds())
	}
	return medians
}

// shell times a shell command.
func shell(t *testing.T, script string) time.Duration {
	t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-c", script)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return time.Since(start)
}

// bench is a server with a large database, and a dbacked configured for it.
type bench struct {
	t      *testing.T
	server *dbtest.Server
	dir    string // in memory
	binary string
	env    []string
	peak   int64 // the largest resident set of dbacked and its tools, bytes
}

func newBench(t *testing.T, s *dbtest.Server, gigabytes float64) *bench {
	dir, err := os.MkdirTemp("/dev/shm", "dbacked-bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{t: t, server: s, dir: dir, binary: os.Getenv("DBACKED_TEST_BINARY")}
	engine, user := "pg", "postgres"
	if s.Engine != "postgresql" {
		engine, user = "mysql", "root"
	}
	rowBytes := map[string]float64{"pg": 144, "mysql": 150}[engine]
	start := time.Now()
	s.Bulk(t, "bulk", int(gigabytes*1e9/rowBytes))
	fmt.Printf("\n%s %s: filled in %s\n", s.Engine, s.Version, time.Since(start).Round(time.Second))
	b.env = append(os.Environ(),
		"DBACKED_DB_TYPE="+engine, "DBACKED_DB_HOST="+s.Socket, "DBACKED_DB_PORT="+strconv.Itoa(s.Port), "DBACKED_DB_USERNAME="+user,
		"DBACKED_DB_NAME=bulk", "DBACKED_CONFIG_DIRECTORY="+dir, "DBACKED_STATE_DIRECTORY="+dir+"/state", "DBACKED_STORAGE=file://"+dir+"/store",
		"DBACKED_PUBLIC_KEY="+dir+"/public.pem", "DBACKED_PRIVATE_KEY="+dir+"/private.pem")
	b.dbacked("keygen", "--no-passphrase", "--private-key-path", dir+"/private.pem", "--public-key-path", dir+"/public.pem")
	return b
}

// dbacked times a command.
func (b *bench) dbacked(args ...string) time.Duration {
	b.t.Helper()
	cmd := exec.Command(b.binary, args...)
	cmd.Env = b.env
	start := time.Now()
	out, err := cmd.CombinedOutput()
	elapsed := time.Since(start)
	if err != nil {
		b.t.Fatalf("dbacked %v: %v\n%s", args, err, out)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && args[0] != "keygen" {
		b.peak = max(b.peak, usage.Maxrss<<10)
	}
	return elapsed
}

// backup times a backup into an empty store.
func (b *bench) backup() time.Duration {
	os.RemoveAll(b.dir + "/store")
	if err := os.Mkdir(b.dir+"/store", 0o700); err != nil {
		b.t.Fatal(err)
	}
	return b.dbacked("backup", "bulk")
}

// stored is the size of the newest backup.
func (b *bench) stored() int64 {
	files, _ := filepath.Glob(b.dir + "/store/bulk/*/*.dbacked")
	var n int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			b.t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("DBACKED_TEST_BENCH_ROUNDS")); err == nil {
		return n
	}
	return 5
}

func gigabytes() float64 {
	if n, err := strconv.ParseFloat(os.Getenv("DBACKED_TEST_BENCH_GB"), 64); err == nil {
		return n
	}
	return 1.1
}

func limit(t *testing.T, what string, got, want float64, atMost bool) {
	t.Helper()
	word, ok := "at least", got >= want
	if atMost {
		word, ok = "at most", got <= want
	}
	verdict := "reached"
	if !ok {
		verdict = "NOT REACHED"
	}
	fmt.Printf("  → %s: %.2f, wanted %s %.2f: %s\n", what, got, word, want, verdict)
}

func TestComparePostgres(t *testing.T) {
	s := dbtest.Postgres(t, "shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off")
	b := newBench(t, s, gigabytes()).with("DBACKED_JOBS=1")
	dump := fmt.Sprintf("%s/pg_dump -h %s -p %d -U postgres --format=custom", s.Bin, s.Socket, s.Port)
	recipient := ageKey(t, b.dir)

	c := newContest(t, rounds())
	c.add("pg_dump --compress=0 | cat > /dev/null", func() time.Duration { return shell(t, dump+" --compress=0 bulk | cat > /dev/null") })
	c.add("dbacked backup", b.backup)
	m := c.run("PostgreSQL, backup")
	limit(t, "dbacked ÷ pg_dump | cat", ratio(m["dbacked backup"], m[c.names[0]]), 1.15, true)

	c = newContest(t, min(rounds(), 3))
	c.add("dbacked backup", b.backup)
	c.add("pg_dump | age", func() time.Duration { return shell(t, dump+" bulk | age -r "+recipient+" > "+b.dir+"/age") })
	m = c.run("PostgreSQL, against pg_dump and age")
	limit(t, "pg_dump | age ÷ dbacked", ratio(m["pg_dump | age"], m["dbacked backup"]), 2.8, false)
	os.Remove(b.dir + "/age")

	shell(t, dump+" -f "+b.dir+"/own bulk")
	own, err := os.Stat(b.dir + "/own")
	if err != nil {
		t.Fatal(err)
	}
	limit(t, "stored size ÷ pg_dump --format=custom", float64(b.stored())/float64(own.Size()), 1, true)
	os.Remove(b.dir + "/own")

	shell(t, dump+" --compress=0 -f "+b.dir+"/plain bulk")
	fresh := func(db string) {
		s.SQL(t, "postgres", "DROP DATABASE IF EXISTS "+db)
		s.SQL(t, "postgres", "CREATE DATABASE "+db)
		s.SQL(t, "postgres", "CHECKPOINT")
	}
	restore := fmt.Sprintf("%s/pg_restore -h %s -p %d -U postgres --exit-on-error --single-transaction -d again %s/plain", s.Bin, s.Socket, s.Port, b.dir)
	c = newContest(t, min(rounds(), 3))
	c.add("pg_restore --single-transaction from the plain archive", func() time.Duration { fresh("again"); return shell(t, restore) })
	c.add("dbacked restore", func() time.Duration {
		fresh("again")
		return b.dbacked("restore", "bulk", "--last-backup", "-y", "--db-name", "again")
	})
	m = c.run("PostgreSQL, restore")
	limit(t, "dbacked ÷ pg_restore", ratio(m["dbacked restore"], m[c.names[0]]), 1.05, true)
	limit(t, "peak RSS, MiB", float64(b.peak)/(1<<20), 64, true)
}

func TestCompareMariaDB(t *testing.T) {
	s := dbtest.MariaDB(t, "--innodb-buffer-pool-size=1G", "--skip-log-bin")
	b := newBench(t, s, gigabytes()).with("DBACKED_JOBS=1")
	c := newContest(t, rounds())
	dump := fmt.Sprintf("mariadb-dump --no-defaults -S %s -u root --single-transaction --quick bulk | cat > /dev/null", s.Socket)
	c.add("mariadb-dump --single-transaction --quick | cat > /dev/null", func() time.Duration { return shell(t, dump) })
	c.add("dbacked backup", b.backup)
	m := c.run("MariaDB, backup")
	limit(t, "dbacked ÷ mariadb-dump | cat", ratio(m["dbacked backup"], m[c.names[0]]), 1.15, true)
	s.SQL(t, "", "CREATE DATABASE again")
	fmt.Printf("  dbacked restore: %.2f s\n", b.dbacked("restore", "bulk", "--last-backup", "-y", "--db-name", "again").Seconds())
	limit(t, "peak RSS, MiB", float64(b.peak)/(1<<20), 64, true)
}

// TestCompareGrowth shows that time grows with the database, and memory does not.
func TestCompareGrowth(t *testing.T) {
	var first time.Duration
	for _, gb := range []float64{1, 2, 4, 8} {
		t.Run(fmt.Sprintf("%v GB", gb), func(t *testing.T) {
			s := dbtest.Postgres(t, "shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off")
			b := newBench(t, s, gb)
			two := b.with("DBACKED_JOBS=2")
			c := newContest(t, 3)
			c.add("dbacked backup, 2 jobs", two.backup)
			m := c.run(fmt.Sprintf("PostgreSQL, backup of %v GB", gb))
			two.backup()
			fmt.Printf("  %d MB stored\n", two.stored()/1e6)
			took := m["dbacked backup, 2 jobs"]
			if first == 0 {
				first = took
			}
			limit(t, "time ÷ what is linear", ratio(took, first)/gb, 1.1, true)
			fmt.Printf("  restore, 2 jobs: %.1f s\n", two.dbacked("restore", "bulk", "--last-backup", "-y", "--db-name", "again", "--create").Seconds())
			limit(t, "peak RSS, 2 jobs, MiB", float64(two.peak)/(1<<20), 96, true)
		})
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// ageKey makes a key pair for age and returns its public half.
func ageKey(t *testing.T, dir string) string {
	out, err := exec.Command("age-keygen", "-o", dir+"/age.key").CombinedOutput()
	if err != nil {
		t.Fatalf("age-keygen: %v\n%s", err, out)
	}
	_, key, _ := strings.Cut(string(out), "Public key: ")
	return strings.TrimSpace(key)
}
