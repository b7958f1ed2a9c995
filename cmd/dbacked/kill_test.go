package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// stopLimit is how long a run and its tools may take to end.
const stopLimit = 10 * time.Second

// A tool that says that it is there, with its process, and goes on when it is
// let.
const (
	here  = `echo $$ > "$BED/here"; `
	until = `read line < "$BED/go"; `
)

// stages are the moments of a dump at which a run is ended, as scripts in the
// place of the tool.
var stages = map[string]string{
	"before the dump":      here + until + `exec "$REAL" "$@"`,
	"half through a dump":  `"$REAL" "$@" > "$BED/whole"; head -c 300000 "$BED/whole"; ` + here + until + `tail -c +300001 "$BED/whole"`,
	"after the dump":       `"$REAL" "$@"; ` + here + until,
	"the real tool, stuck": here + `exec "$REAL" "$@"`,
}

// TestKilled ends a backup while it dumps: nothing half-made is listed, no tool
// lives on, the lock is free, and the next run cleans up.
func TestKilled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(3000)
		b.fifo("here")
		b.fifo("go")
		good := b.backup()
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			for name, script := range stages {
				if sig != syscall.SIGKILL && sig != syscall.SIGTERM && name != "half through a dump" {
					continue // they are handled as SIGTERM is
				}
				t.Run(fmt.Sprintf("%s %s", unix.SignalName(sig), name), func(t *testing.T) {
					unlock := func() {}
					if name == "the real tool, stuck" {
						unlock = b.lockTable("a")
					}
					testKilled(t, b, sig, script)
					unlock()
					b.unwrap(e.dump)
					b.backup()
					b.wantComplete(b.list())
				})
			}
		}
		b.run("verify", "shop", good).ok()
	})
}

func testKilled(t *testing.T, shared *bed, sig syscall.Signal, script string) {
	b := shared.with()
	b.t = t
	before, list := b.stored(), b.list()
	b.wrap(b.e.dump, script)
	r := b.start(nil, "backup", "shop")
	tool := watch(t, atoi(t, r.reached(b.path("here"))))
	start := time.Now()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	res := r.wait()
	tool.ends(t)
	if took := time.Since(start); took > stopLimit {
		t.Errorf("it took %s to end", took)
	}
	if sig != syscall.SIGKILL {
		res.ends(exitInterrupted, "interrupted")
		if after := b.stored(); !slices.Equal(before, after) {
			t.Errorf("stored before %q and after %q", before, after)
		}
	} else if res.code != -1 {
		t.Errorf("it was not killed: %s", res)
	}
	if now := b.list(); !slices.Equal(list, now) {
		t.Errorf("listed before %q and after %q", list, now)
	}
}

// lockTable keeps the dump program waiting, until the returned function is
// called.
func (b *bed) lockTable(name string) func() {
	b.t.Helper()
	ctx := context.Background()
	if b.e == mariadb {
		pool, err := sql.Open("mysql", fmt.Sprintf("root@unix(%s)/%s", b.server.Socket, b.db))
		b.must(err)
		session, err := pool.Conn(ctx) // one connection: the lock is its own
		b.must(err)
		_, err = session.ExecContext(ctx, "LOCK TABLES "+name+" WRITE")
		b.must(err)
		return func() {
			session.Close()
			pool.Close()
		}
	}
	session := b.session(b.db)
	_, err := session.Exec(ctx, "BEGIN; LOCK TABLE "+name)
	b.must(err)
	return func() { session.Close(ctx) }
}

// session is a connection to a database of PostgreSQL.
func (b *bed) session(db string) *pgx.Conn {
	b.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=%s default_query_exec_mode=simple_protocol", b.server.Socket, b.server.Port, db))
	b.must(err)
	b.t.Cleanup(func() { c.Close(ctx) })
	return c
}

// watched is a process whose end can be awaited, also if it is not a child.
type watched struct{ pid, fd int }

func watch(t *testing.T, pid int) *watched {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &watched{pid, fd}
}

// ends awaits the end of the process.
func (w *watched) ends(t *testing.T) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(stopLimit); ; {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.pid))
			t.Errorf("process %d lives on (%v): %q", w.pid, err, command)
			unix.Kill(w.pid, unix.SIGKILL)
		}
		return
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantComplete fails the test unless the storage holds just these backups, each
// whole.
func (b *bed) wantComplete(ids []string) {
	b.t.Helper()
	var want []string
	for _, id := range ids {
		dir := "shop/" + id + "/"
		want = append(want, dir, dir+"0000.dbacked", dir+"0001.dbacked", dir+"manifest")
	}
	var got []string
	for _, name := range b.stored() {
		name, _, _ = strings.Cut(name, " ")
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		b.t.Errorf("the storage holds %q instead of %q", got, want)
	}
}

// TestTwoAtOnce starts a backup while another of the same instance runs.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(10)
		good := b.backup()
		b.fifo("here")
		b.fifo("go")
		b.wrap(e.dump, stages["before the dump"])
		first := b.start(nil, "backup", "shop")
		first.reached(b.path("here"))
		for _, args := range [][]string{{"backup", "shop"}, {"remove", "shop", good, "-y"}} {
			b.run(args...).ends(exitAgain, "another", fmt.Sprintf("process %d", first.cmd.Process.Pid), "hint: ")
		}
		b.run("list", "shop").ok().says(good)
		b.run("verify", "shop").ok().says("ok")
		b.write("go", []byte("go on\n"))
		id := strings.TrimSpace(first.wait().ok().out)
		b.wantComplete([]string{good, id})
	})
}

// TestRestoreKilled ends a restore half through: PostgreSQL's target is as
// empty as before.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	// An index that is built only when the test lets it.
	b.server.SQL(t, b.db, `CREATE FUNCTION held(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN i; END';
		CREATE INDEX ON b (held(i))`)
	b.backup()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			target := b.emptyDatabase()
			session := b.session(target)
			exec := func(statement string) (n int) {
				if err := session.QueryRow(context.Background(), statement).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			exec("SELECT 1 FROM (SELECT pg_advisory_lock(42)) x")
			r := b.start(nil, "restore", "shop", "-y", "--db-name", target)
			for exec("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 0 {
				select {
				case <-r.ended:
					t.Fatalf("it did not wait: %s", r.wait())
				default:
				}
			}
			tools := r.tools(t)
			if len(tools) == 0 {
				t.Error("no tool runs")
			}
			if err := r.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			res := r.wait()
			for _, tool := range tools {
				tool.ends(t)
			}
			if sig != syscall.SIGKILL {
				res.ends(exitInterrupted, "interrupted")
			}
			exec("SELECT 1 FROM (SELECT pg_advisory_unlock(42)) x")
			for exec("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'") > 1 {
			}
			b.wantEmpty(target)
			b.run("restore", "shop", "-y", "--db-name", target).ok()
		})
	}
}

// tools are the children of a run.
func (r *running) tools(t *testing.T) []*watched {
	t.Helper()
	var all []*watched
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.cmd.Process.Pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(task) // threads come and go
		for _, pid := range strings.Fields(string(children)) {
			all = append(all, watch(t, atoi(t, pid)))
		}
	}
	return all
}
