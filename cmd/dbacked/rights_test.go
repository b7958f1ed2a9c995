package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// guard is a bucket behind a proxy that enforces the documented policy of a host
// that may only write.
type guard struct {
	*bed
	service *dbtest.S3Server
	proxy   *dbtest.FaultProxy
	policy  *dbtest.Policy
}

func well(*http.Request) dbtest.Fault { return dbtest.Fault{} }

// guarded makes the bed's storage such a bucket.
func (b *bed) guarded(objectLock bool) *guard {
	b.t.Helper()
	g := &guard{bed: b, service: dbtest.S3(b.t)}
	g.service.Bucket(b.t, "backups", objectLock)
	g.policy = documented(b.t, "s3-write-only-policy.json")
	g.proxy = dbtest.NewFaultProxy(b.t, g.service.Host, g.policy.Enforce(well))
	b.bucket(g.service, g.proxy.Endpoint)
	b.configure("DBACKED_COMPRESSION", "none")
	return g
}

func documented(t *testing.T, policy string) *dbtest.Policy {
	t.Helper()
	return dbtest.NewPolicy(t, "../../packaging/examples/"+policy, "BUCKET", "backups", "PREFIX/NAME", "some/prefix/shop")
}

// elsewhere is the bed on a machine that may do all.
func (g *guard) elsewhere() *bed { return g.with("DBACKED_S3_ENDPOINT", g.service.Endpoint) }

// under is the bed on a machine that another documented policy holds for.
func (g *guard) under(policy string) *bed {
	g.t.Helper()
	proxy := dbtest.NewFaultProxy(g.t, g.service.Host, documented(g.t, policy).Enforce(well))
	return g.with("DBACKED_S3_ENDPOINT", proxy.Endpoint)
}

// denied is how often the policy has refused something since the last time.
func (g *guard) denied(of func()) int {
	before := g.proxy.Done()["denied"]
	of()
	return g.proxy.Done()["denied"] - before
}

// TestWriteOnly is the life of a host that may only write: the whole path of a
// backup asks for nothing that it may not do; all else is refused by name.
func TestWriteOnly(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(60000) // some parts
		g := b.guarded(true)
		b.configure("DBACKED_S3_OBJECT_LOCK", "governance:1d")
		nowhere := b.without("DBACKED_PRIVATE_KEY_FILE")
		g.elsewhere().run("check", "shop").ok()
		if keys := g.control(); len(keys) != 0 {
			t.Errorf("the check of who may do all left %q, with versions", keys)
		}
		var first, second string
		if n := g.denied(func() {
			first, second = b.backup(), b.backup()
			if ids := b.list(); len(ids) != 2 || ids[0] != second {
				t.Fatalf("listed: %v", ids)
			}
			nowhere.run("verify", "shop", "--all", "--listed").ok().says("nothing was read", first)
			m := newManager(t)
			r, running := b.agentOf(m)
			if _, err := running.backup(t.Context()); err != nil {
				t.Fatal(err)
			}
			awaits(t, running, "a backup of the agent", func(s agent.Status) bool { return s.Successes == 1 && s.Healthy })
			b.must(r.cmd.Process.Signal(syscall.SIGTERM))
			r.wait().ok()
		}); n != 0 {
			t.Errorf("a backup asked %d times for what it may not do", n)
		}

		const elsewhere = "each under its own credential"
		into := b.emptyDatabase()
		b.run("restore", "shop", first, "-y", "--db-name", into).ends(exitFailure, "s3:GetObject", elsewhere)
		b.wantEmpty(into)
		nowhere.run("verify", "shop").ends(exitFailure, "s3:GetObject", elsewhere)
		b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--force").ends(exitFailure, "s3:ListBucketVersions", elsewhere)
		b.run("remove", "shop", first, "-y").ends(exitFailure, "s3:ListBucketVersions", elsewhere)
		b.configure("DBACKED_S3_OBJECT_LOCK", "")
		b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--force").ends(exitFailure, "s3:DeleteObject", elsewhere)
		if ids := b.list(); len(ids) != 3 {
			t.Errorf("listed: %v", ids)
		}
		restorer, pruner := g.under("s3-restore-policy.json"), g.under("s3-prune-policy.json")
		restorer.run("restore", "shop", first, "-y", "--db-name", into).ok()
		restorer.run("verify", "shop", "--all").ok()
		restorer.run("backup", "shop").ends(exitFailure, "s3:PutObject")
		pruner.run("verify", "shop").ends(exitFailure, "s3:GetObject")
		pruner.with("DBACKED_S3_OBJECT_LOCK", "governance:1d").run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--force").ok("locked, left")
		if ids := b.list(); len(ids) != 3 {
			t.Errorf("listed: %v", ids)
		}
		pruner.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--force").ok()
		if ids := b.list(); len(ids) != 1 { // the others are hidden
			t.Errorf("listed: %v", ids)
		}
	})
}

// TestCheckOfRights: check says which rights there are and which should not be,
// leaves its one probe where it must, and nothing where it need not.
func TestCheckOfRights(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	g := b.guarded(false)
	full := g.elsewhere()
	full.run("check", "shop").ok().says("ok    storage: s3://backups/some/prefix can be written", "ok    storage rights: this host, and whoever takes it over, can also overwrite and remove")
	if keys := g.control(); len(keys) != 0 {
		t.Errorf("left: %q", keys)
	}
	first := b.backup()
	full.run("check", "shop").ok().says("can also overwrite, read and remove what is stored")
	for range 2 {
		b.run("check", "shop").ok().says("ok    storage rights: this host may only write: it can neither overwrite nor read nor remove")
	}
	if keys := g.control(); len(keys) != 2 { // the lease, and one probe
		t.Errorf("left: %q", keys)
	}
	b.with("DBACKED_KEEP_LAST", "3").run("check", "shop").ok().says("warn  storage rights: DBACKED_KEEP_… is set, and this host may remove nothing", "run dbacked prune elsewhere")
	b.with("DBACKED_S3_OBJECT_LOCK", "compliance:90d").run("check", "shop").ends(exitFailure).says("fail  storage: begin the upload", "s3:PutObjectRetention")
	for _, lacking := range []string{"s3:ListBucket", "s3:GetObject", "s3:PutObject"} {
		g.proxy.SetPlan(g.less(lacking))
		b.run("check", "shop").ends(exitFailure).says("fail  storage: ", lacking)
	}
	for _, lacking := range []string{"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"} {
		g.proxy.SetPlan(g.less(lacking))
		b.run("check", "shop").ok().says("warn  storage rights: what failed runs leave of their uploads stays", lacking, "lifecycle rule")
		b.backup()
	}
	for right, match := range map[string]func(*http.Request) bool{
		"overwrite": func(r *http.Request) bool { return r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "" },
		"read":      func(r *http.Request) bool { return r.Method == http.MethodHead },
		"remove":    func(r *http.Request) bool { return r.Method == http.MethodDelete },
	} {
		g.proxy.SetPlan(g.more(match))
		b.run("check", "shop").ok().says("warn  storage rights: this host cannot ", "but it can "+right+" it", "s3.md")
	}
	if keys, uploads := keysIn(t, g.service); uploads != 0 || len(keys) != 9 || !strings.Contains(keys[0], first) {
		t.Errorf("left: %q, %d uploads", keys, uploads)
	}
}

// less is the policy without an action, more is it with the requests that match.
func (g *guard) less(action string) dbtest.Plan {
	return func(r *http.Request) dbtest.Fault {
		f := g.policy.Enforce(well)(r)
		for _, needed := range g.policy.Needs(r) {
			if needed == action {
				return dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
			}
		}
		return f
	}
}

func (g *guard) more(match func(*http.Request) bool) dbtest.Plan {
	return func(r *http.Request) dbtest.Fault {
		if match(r) {
			return dbtest.Fault{}
		}
		return g.policy.Enforce(well)(r)
	}
}

// control lists what is under control/, with what is hidden there.
func (g *guard) control() (keys []string) {
	g.t.Helper()
	for o := range g.service.Client(g.t).Client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Prefix: "some/prefix/shop/control/", Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			g.t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// TestWriteOnlyKilled leaves what a killed run stored, and says so; prune, with
// rights of its own, removes it.
func TestWriteOnlyKilled(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(60000)
	b.fifo("here")
	b.fifo("go")
	g := b.guarded(false)
	b.configure("DBACKED_ORPHAN_AGE", "1s", "DBACKED_LOCK", "database") // no lease to wait for
	b.wrap(postgres.dump, fmt.Sprintf(`"$REAL" "$@" > "$BED/whole"; head -c 30000000 "$BED/whole"; %s%s`, here, until))
	r := b.start(nil, "backup", "shop")
	r.reached(b.path("here"))
	b.must(r.cmd.Process.Signal(syscall.SIGKILL))
	r.wait()
	b.unwrap(postgres.dump)
	orphans, _ := keysIn(t, g.service)
	if len(orphans) == 0 {
		t.Fatal("nothing was stored before it was killed")
	}
	// The service counts seconds, and knows from the next backups that they went by.
	uploads, made := 1, 0
	for said := false; uploads > 0 || !said; made++ {
		r := b.run("backup", "shop").ok()
		said = strings.Contains(r.err, "files of a run that was killed are left") && strings.Contains(r.err, "s3:DeleteObject")
		if _, uploads = keysIn(t, g.service); made == 10 {
			t.Fatalf("%d uploads are left; it says %s", uploads, r)
		}
	}
	if keys, _ := keysIn(t, g.service); len(keys) != len(orphans)+3*made {
		t.Errorf("there are %q; of the killed run %q", keys, orphans)
	}
	g.under("s3-prune-policy.json").run("prune", "shop", "--keep-last", "99").ok()
	if keys, _ := keysIn(t, g.service); len(keys) != 3*made || strings.Contains(strings.Join(keys, " "), orphans[0]) {
		t.Errorf("left: %q", keys)
	}

	b.wrap(postgres.dump, `"$REAL" "$@" | head -c 3000; exit 7`) // fails after a file was stored
	b.run("backup", "shop").ends(exitFailure, "files of the failed backup are left: they may not be removed")
}

// TestWithoutConditions: check says so of a service without conditional writes,
// and names the setting with which it can be used all the same.
func TestWithoutConditions(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(10)
	proxy := dbtest.NewFaultProxy(t, s.Host, func(r *http.Request) dbtest.Fault {
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != "" {
			return dbtest.Fault{Status: http.StatusNotImplemented, Code: "NotImplemented"}
		}
		return dbtest.Fault{}
	})
	b.bucket(s, proxy.Endpoint)
	b.run("check", "shop").ends(exitFailure).says("fail  storage: ", "no conditional writes", "DBACKED_LOCK=database")
	b.run("backup", "shop").ends(exitFailure, "DBACKED_LOCK=database")
	b.configure("DBACKED_LOCK", "database")
	b.run("check", "shop").ok().says("warn  storage: s3://backups/some/prefix can be written, but without conditions; the database keeps the lock", "ok    lock: ")
	b.backup()
	b.run("verify", "shop", b.backup()).ok()
}
