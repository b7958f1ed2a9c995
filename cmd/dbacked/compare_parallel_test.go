//go:build bench

package main

// Comparisons of dumps and restores in parts with the databases' own tools, run
// by make bench as those of compare_test.go are.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// with is the same bench with more settings.
func (b *bench) with(settings ...string) *bench {
	other := *b
	other.env = append(append([]string(nil), b.env...), settings...)
	return &other
}

// load is the CPU time, in seconds, that a command cost, by who spent it, and how
// busy the machine was, of 1.
type load struct{ server, tools, own, busy float64 }

func (l load) String() string {
	return fmt.Sprintf("CPU seconds: server %.1f, tools %.1f, dbacked %.1f; cores busy: %.0f %%", l.server, l.tools, l.own, 100*l.busy)
}

// measure is dbacked, with its load.
func (b *bench) measure(args ...string) (time.Duration, load) {
	b.t.Helper()
	cmd := exec.Command(b.binary, args...)
	cmd.Env = b.env
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	busy, total := machineTicks(b.t)
	server := treeSeconds(b.serverPID())
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	own, done := make(chan float64), make(chan bool)
	go func() { own <- watchOwn(cmd.Process.Pid, done) }()
	err := cmd.Wait()
	elapsed := time.Since(start)
	close(done)
	l := load{own: <-own}
	if err != nil {
		b.t.Fatalf("dbacked %v: %v\n%s", args, err, out.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	b.peak = max(b.peak, usage.Maxrss<<10)
	l.tools = cmd.ProcessState.UserTime().Seconds() + cmd.ProcessState.SystemTime().Seconds() - l.own
	l.server = treeSeconds(b.serverPID()) - server
	busyNow, totalNow := machineTicks(b.t)
	l.busy = float64(busyNow-busy) / float64(totalNow-total)
	return elapsed, l
}

// watchOwn is the CPU time that a process spent itself, as it was seen last.
func watchOwn(pid int, done <-chan bool) (seconds float64) {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-done:
			tick.Stop()
			return seconds
		case <-tick.C:
			if own, _, ok := processSeconds(pid); ok && own > 0 {
				seconds = own
			}
		}
	}
}

const ticks = 100 // a second: USER_HZ

// processSeconds is the CPU time of a process, and of those that it has waited for.
func processSeconds(pid int) (own, waited float64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	number := func(i int) float64 { n, _ := strconv.ParseFloat(fields[i], 64); return n / ticks }
	return number(11) + number(12), number(13) + number(14), true
}

// treeSeconds is the CPU time of a server: of its process, of those that ended,
// and of those that go on.
func treeSeconds(pid int) float64 {
	own, waited, _ := processSeconds(pid)
	sum := own + waited
	for _, child := range descendants(pid) {
		own, waited, _ := processSeconds(child)
		sum += own + waited
	}
	return sum
}

func (b *bench) serverPID() int {
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(b.server.SQL(b.t, "postgres", "SHOW data_directory")), "postmaster.pid"))
	if err != nil {
		b.t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}

func machineTicks(t *testing.T) (busy, total int64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:9] {
		n, _ := strconv.ParseInt(field, 10, 64)
		total += n
		if i != 3 && i != 4 { // idle, and waiting for a disk
			busy += n
		}
	}
	return busy, total
}

// TestCompareParts compares backups and restores by two jobs with what the tools
// do by themselves.
func TestCompareParts(t *testing.T) {
	s := dbtest.Postgres(t, "shared_buffers=1GB", "max_wal_size=16GB", "autovacuum=off")
	b := newBench(t, s, 2*gigabytes())
	s.SQL(t, "bulk", "CREATE TABLE small AS SELECT * FROM visits ORDER BY id LIMIT (SELECT count(*) / 25 FROM visits)")
	two := b.with("DBACKED_JOBS=2")
	dump := fmt.Sprintf("%s/pg_dump -h %s -p %d -U postgres --format=custom", s.Bin, s.Socket, s.Port)
	var loads []load
	backup := func() time.Duration {
		os.RemoveAll(b.dir + "/store")
		if err := os.Mkdir(b.dir+"/store", 0o700); err != nil {
			t.Fatal(err)
		}
		elapsed, l := two.measure("backup", "bulk")
		loads = append(loads, l)
		return elapsed
	}

	c := newContest(t, rounds())
	c.add("pg_dump --compress=0 | cat > /dev/null", func() time.Duration { return shell(t, dump+" --compress=0 bulk | cat > /dev/null") })
	c.add("dbacked backup, 2 jobs", backup)
	c.add("dbacked backup, 1 job", b.with("DBACKED_JOBS=1").backup)
	for _, filter := range []string{"cat", "zstd -1 --single-thread"} {
		// What the machine has left for two dumps, and for compressing them by the
		// quickest program, without proof, encryption or store.
		c.add("two pg_dump | "+filter+" > /dev/null", func() time.Duration {
			half := dump + " --compress=0 bulk --table=%s --table=%s | " + filter + " > /dev/null"
			return shell(t, fmt.Sprintf("("+half+") & "+half+" && wait $!", "payments", "visits", "readings", "orders"))
		})
	}
	m := c.run("PostgreSQL, backup in parts")
	fmt.Printf("  the last of 2 jobs: %s\n", loads[len(loads)-1])
	limit(t, "dbacked, 2 jobs ÷ pg_dump | cat", ratio(m["dbacked backup, 2 jobs"], m[c.names[0]]), 1.05, true)
	limit(t, "cores busy", loads[len(loads)-1].busy, 0.9, false)

	key := b.dir + "/pass"
	if err := os.WriteFile(key, []byte("a pass phrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	restic := "RESTIC_PASSWORD_FILE=" + key + " restic --quiet --no-cache -r " + b.dir + "/restic "
	c = newContest(t, min(rounds(), 3))
	c.add("dbacked backup, 2 jobs", backup)
	c.add("pg_dump | gzip | openssl enc", func() time.Duration {
		return shell(t, dump+" --compress=0 bulk | gzip | openssl enc -aes-256-cbc -pbkdf2 -pass file:"+key+" > "+b.dir+"/enc")
	})
	c.add("pg_dump | restic backup --stdin", func() time.Duration {
		os.RemoveAll(b.dir + "/restic")
		shell(t, restic+"init")
		return shell(t, dump+" --compress=0 bulk | "+restic+"backup --stdin")
	})
	m = c.run("PostgreSQL, against other ways to the same")
	limit(t, "pg_dump | gzip | openssl ÷ dbacked", ratio(m["pg_dump | gzip | openssl enc"], m["dbacked backup, 2 jobs"]), 3, false)
	limit(t, "pg_dump | restic ÷ dbacked", ratio(m["pg_dump | restic backup --stdin"], m["dbacked backup, 2 jobs"]), 2.4, false)
	os.RemoveAll(b.dir + "/restic")
	os.Remove(b.dir + "/enc")

	backup()
	compareRestores(t, two, dump)
	limit(t, "peak RSS, MiB", float64(max(b.peak, two.peak))/(1<<20), 96, true)
}

// compareRestores restores the newest backup, and copies of it that the tools like.
func compareRestores(t *testing.T, b *bench, dump string) {
	s := b.server
	shell(t, dump[:strings.Index(dump, " --format")]+" --format=directory --compress=0 --jobs=2 -f "+b.dir+"/folder bulk")
	shell(t, dump+" --compress=0 -f "+b.dir+"/plain bulk")
	drop := func() {
		s.SQL(t, "postgres", "DROP DATABASE IF EXISTS again")
		s.SQL(t, "postgres", "CHECKPOINT")
	}
	fresh := func() { drop(); s.SQL(t, "postgres", "CREATE DATABASE again") }
	tool := fmt.Sprintf("%s/pg_restore -h %s -p %d -U postgres --exit-on-error -d again ", s.Bin, s.Socket, s.Port)
	c := newContest(t, min(rounds(), 3))
	c.add("pg_restore --jobs=2 from a folder in memory", func() time.Duration { fresh(); return shell(t, tool+"--jobs=2 "+b.dir+"/folder") })
	c.add("pg_restore, one stream", func() time.Duration { fresh(); return shell(t, tool+b.dir+"/plain") })
	c.add("dbacked restore, 2 jobs", func() time.Duration {
		drop()
		elapsed, l := b.measure("restore", "bulk", "--last-backup", "-y", "--db-name", "again", "--create")
		fmt.Printf("  %s\n", l)
		return elapsed
	})
	m := c.run("PostgreSQL, restore in parts")
	limit(t, "dbacked ÷ pg_restore --jobs=2", ratio(m["dbacked restore, 2 jobs"], m[c.names[0]]), 1.08, true)
	limit(t, "pg_restore, one stream ÷ dbacked", ratio(m["pg_restore, one stream"], m["dbacked restore, 2 jobs"]), 1.2, false)
	if again, bulk := plainSum(t, s, "again"), plainSum(t, s, "bulk"); again != bulk {
		t.Errorf("the database came back different: its plain dump has the sum %s instead of %s", again, bulk)
	}
	fresh()
	s.SQL(t, "again", "CREATE TABLE nothing ()") // and so not empty
	fmt.Printf("  one table, about 1 %% of the data: %.2f s\n", b.dbacked("restore", "bulk", "--last-backup", "-y", "--db-name", "again", "--table", "public.small").Seconds())
}

// plainSum is a checksum of a database's plain dump, without its random tokens.
func plainSum(t *testing.T, s *dbtest.Server, db string) string {
	script := fmt.Sprintf(`%s/pg_dump -h %s -p %d -U postgres %s | grep -av '^.\(un\)\?restrict ' | sha256sum`, s.Bin, s.Socket, s.Port, db)
	out, err := exec.Command("bash", "-o", "pipefail", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestCompareJobs shows what more jobs than cores are for.
func TestCompareJobs(t *testing.T) {
	// 500 MB a table: each pg_dump needs 1.8 s to begin, 20 ms away, whatever it dumps.
	const rows = 520_000
	s := dbtest.Postgres(t, "shared_buffers=1GB", "max_wal_size=16GB", "autovacuum=off")
	b := newBench(t, s, 0.01)
	s.SQL(t, "postgres", "CREATE DATABASE wide")
	for i := range 8 {
		s.SQL(t, "wide", fmt.Sprintf("CREATE TABLE t%d AS SELECT i, repeat(md5(i::text), 30) AS text FROM generate_series(1, %d) i", i, rows))
	}
	s.SQL(t, "wide", "VACUUM ANALYZE")
	port := farAway(t, fmt.Sprintf("%s/.s.PGSQL.%d", s.Socket, s.Port))
	jobs := func(n int) func() time.Duration {
		one := b.with("DBACKED_DB_NAME=wide", "DBACKED_DB_HOST=127.0.0.1", "DBACKED_DB_PORT="+port, "DBACKED_DB_TLS_MODE=disable", "DBACKED_JOBS="+strconv.Itoa(n), "DBACKED_LARGE_TABLE=10MiB")
		return one.backup
	}
	c := newContest(t, min(rounds(), 3))
	c.add("1 job", jobs(1))
	c.add("4 jobs", jobs(4))
	m := c.run("PostgreSQL, 20 ms away, 40 MB/s for each connection")
	limit(t, "1 job ÷ 4 jobs", ratio(m["1 job"], m["4 jobs"]), 3.4, false)
}

// TestCompareTables shows what the number of tables costs.
func TestCompareTables(t *testing.T) {
	s := dbtest.Postgres(t, "shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off", "max_locks_per_transaction=1024")
	b := newBench(t, s, 0.01)
	for _, n := range []int{1, 100, 10_000} {
		name := fmt.Sprintf("tables_%d", n)
		s.SQL(t, "postgres", "CREATE DATABASE "+name)
		for from := 0; from < n; from += 500 {
			s.SQL(t, name, fmt.Sprintf("DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE TABLE t%%s AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, %d) g', i); END LOOP; END $$",
				from, min(n, from+500)-1, 1_000_000/n))
		}
		one := b.with("DBACKED_DB_NAME="+name, "DBACKED_JOBS=2")
		counted := one.with("DBACKED_COUNT_ROWS=true")
		c := newContest(t, 3)
		c.add("pg_dump --compress=0 | cat > /dev/null", func() time.Duration {
			return shell(t, fmt.Sprintf("%s/pg_dump -h %s -p %d -U postgres --format=custom --compress=0 %s | cat > /dev/null", s.Bin, s.Socket, s.Port, name))
		})
		c.add("dbacked backup, 2 jobs", one.backup)
		c.add("dbacked backup, 2 jobs, in parts", counted.backup)
		m := c.run(fmt.Sprintf("PostgreSQL, %d tables", n))
		if n > 1000 { // with few tables, what is done once for each backup decides
			limit(t, "dbacked ÷ pg_dump | cat", ratio(m["dbacked backup, 2 jobs"], m[c.names[0]]), 1.1, true)
		}
		limit(t, "peak RSS, MiB", float64(max(one.peak, counted.peak))/(1<<20), 96, true)
	}
}
