package main

import (
	"bytes"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/dbacked/dbacked/pkg/agent"
)

// TestOldServiceAgent: the agent makes what is due, shows what the service lists, asks
// one thing each time, and makes none that is not due.
func TestOldServiceAgent(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	o := newOldBed(b, "--schedule", "0 2 * * *")
	m := newManager(t)
	r, running := b.agentOf(m)
	m.hears("STATUS=idle, asking", ", ok")
	ask := "POST /projects/own/backups"
	got := awaits(t, running, "its list", func(s agent.Status) bool { return s.Newest != nil && s.Newest.Unproved })
	if !got.Healthy || got.Successes != 1 || got.Newest.StoredBytes == 0 || len(got.Runs) != 1 || got.Runs[0].Backup != got.Newest.ID {
		t.Errorf("%+v", got)
	}
	b.run("status", "shop", "--run-directory", b.dir).ok().says("origin not proved")
	asked, own := o.called(ask), o.called("GET /projects/own")
	awaits(t, running, "three questions", func(agent.Status) bool { return o.called(ask) >= asked+3 })
	if n := o.called("GET /projects/own"); n != own {
		t.Errorf("%d other calls in three questions", n-own)
	}
	if _, err := running.backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaits(t, running, "the answer", func(s agent.Status) bool { return s.LockWaits == 1 && s.Running == nil })
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ok(`"event":"backup-proved"`, "takes no wishes", "roles are not in it")
	if ids := b.list(); len(ids) != 1 || ids[0] != got.Newest.ID {
		t.Errorf("listed: %v", ids)
	}
}

// TestOldServiceKilled kills an agent in the middle of a dump: another gets the backup
// when the service has waited for as long as it does.
func TestOldServiceKilled(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(3000)
	b.fifo("here")
	b.fifo("go")
	o := newOldBed(b)
	b.wrap(postgres.dump, stages["half through a dump"])
	r := b.start(nil, "backup", "shop")
	r.reached(b.path("here"))
	b.must(r.cmd.Process.Signal(syscall.SIGKILL))
	r.wait()
	b.unwrap(postgres.dump)

	next := b.with("DBACKED_STATE_DIRECTORY", b.path("tmp"))
	next.run("backup", "shop").ends(exitAgain, "another agent makes one")
	o.sql("UPDATE backups SET lease_until = 1") // two hours are over
	id := next.backup()
	next.run("verify", "shop", id).ok()
	if out := o.admin("backup", "list", "shop", "--json"); !bytes.Contains(out, []byte(`"lost"`)) {
		t.Errorf("the service says %s", out)
	}
}

// TestOldServiceTold: what went wrong is told to the service, which gives the backup
// again; DONE is said of none that was not proved.
func TestOldServiceTold(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	o := newOldBed(b)
	b.wrap(postgres.dump, `"$REAL" "$@"; echo "pg_dump: error: out of ideas" >&2; exit 1`)
	b.run("backup", "shop").ends(exitFailure, "out of ideas")
	if out := o.admin("backup", "list", "shop", "--json"); !bytes.Contains(out, []byte("out of ideas")) || !bytes.Contains(out, []byte(`"failed"`)) {
		t.Errorf("the service says %s", out)
	}
	b.unwrap(postgres.dump)

	o.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprintf(w, "<Error><Resource>%s</Resource></Error>", r.URL)
			return
		}
		next.ServeHTTP(w, r)
	})
	b.with("DBACKED_STALL_TIMEOUT", "2s").run("backup", "shop").ends(exitFailure, "501")
	if out := o.admin("backup", "list", "shop", "--json"); !bytes.Contains(out, []byte("501")) || bytes.Contains(out, []byte("signature=")) {
		t.Errorf("the service says %s", out)
	}
	b.run("list", "shop").ok("no backups of shop")
	b.run("restore", "shop", "-y", "--accept-unproved-origin").ends(exitNotFound)
}

// TestOldServiceLegacy writes the former agent's format, and gets the dump back.
func TestOldServiceLegacy(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.configure("DBACKED_FORMAT", "legacy")
	newOldBed(b)
	b.backup()
	b.run("verify", "shop").ok().says("ok", "not authenticated")
	b.run("restore", "shop", "-y", "--raw-output", "--accept-unproved-origin").ok("not authenticated", "wrote").says("PGDMP")
	b.run("restore", "shop", "-y", "--accept-unproved-origin", "--db-type", "mysql").ends(exitRefused, "of the type pg")
	b.run("keygen", "--private-key-path", "other.pem", "--public-key-path", "other.pub.pem", "--no-passphrase").ok()
	b.with("DBACKED_PRIVATE_KEY_FILE", b.path("other.pem")).run("verify", "shop").ends(exitDamaged).says("NOT GOOD")
}
