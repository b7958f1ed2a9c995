package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// TestDatabaseLock lets the database's server keep the lock, on real servers: two
// machines of one instance exclude each other, a run whose session ends does not
// commit, and a killed one stands in nobody's way.
func TestDatabaseLock(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(3000)
		b.fifo("here")
		b.fifo("go")
		b.bucket(s, s.Endpoint)
		b.configure("DBACKED_STORAGE", "s3://backups/"+e.kind, "DBACKED_LOCK", "database", "DBACKED_COMPRESSION", "none")
		elsewhere := b.with("DBACKED_STATE_DIRECTORY", b.path("elsewhere"))
		b.run("check", "shop").ok().says("lock: ", "can be taken")
		good := b.backup()

		b.wrap(e.dump, stages["half through a dump"])
		r, end := b.holding(elsewhere)
		end()
		r.wait().ends(exitFailure, "the lock was lost", "run again")
		b.wantOnly(s, e.kind, good)

		b.wrap(e.dump, stages["after the dump"])
		r, end = b.holding(elsewhere)
		end()
		b.write("go", []byte("\n")) // it is at its commit before the session is looked at again
		r.wait().ends(exitFailure, "the lock was lost")
		b.wantOnly(s, e.kind, good)

		r, _ = b.holding(elsewhere)
		b.must(r.cmd.Process.Signal(syscall.SIGKILL))
		r.wait()
		b.unwrap(e.dump)
		next := elsewhere.backup()
		if ids := b.list(); len(ids) != 2 || ids[0] != next {
			t.Errorf("listed: %v", ids)
		}
		b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--trust", b.verifierOf("elsewhere")).ok()
		b.run("remove", "shop", next, "-y").ok()

		b.configure("DBACKED_STORAGE", "file://"+b.path("storage")) // as on a file system without locks
		b.wrap(e.dump, stages["half through a dump"])
		r, end = b.holding(elsewhere)
		end()
		r.wait().ends(exitFailure, "the lock was lost")
		if left := b.stored(); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// holding starts a backup that waits in the middle of it, holding the lock, and
// has another machine's refused. The function ends the session of the lock.
func (b *bed) holding(elsewhere *bed) (r *running, end func()) {
	b.t.Helper()
	r = b.start(nil, "backup", "shop")
	r.reached(b.path("here"))
	held := elsewhere.run("backup", "shop").ends(exitAgain, "another backup of this instance is running", "of user "+b.e.tester, "end it there").err
	before, kill := "server process ", "SELECT pg_terminate_backend(%d)"
	if b.e == mariadb {
		before, kill = "connection ", "KILL %d"
	}
	var number int
	_, after, _ := strings.Cut(held, before)
	if _, err := fmt.Sscanf(after, "%d", &number); err != nil {
		b.t.Fatalf("%q does not say who holds it", held)
	}
	return r, func() { b.server.SQL(b.t, b.e.first, fmt.Sprintf(kill, number)) }
}

// wantOnly wants nothing but one backup in the bucket, below a prefix.
func (b *bed) wantOnly(s *dbtest.S3Server, prefix, id string) {
	b.t.Helper()
	keys, uploads := keysIn(b.t, s)
	for _, key := range keys {
		if strings.HasPrefix(key, prefix+"/") && !strings.HasPrefix(key, prefix+"/shop/"+id+"/") {
			b.t.Errorf("left: %s", key)
		}
	}
	if uploads != 0 {
		b.t.Errorf("left: %d uploads", uploads)
	}
}

// verifierOf is the verifier key in a state folder.
func (b *bed) verifierOf(state string) string {
	b.t.Helper()
	return strings.TrimSpace(string(b.read(state + "/signing-key.pub")))
}
