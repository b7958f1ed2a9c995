package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// bucket makes the bed's storage a bucket of a real service.
func (b *bed) bucket(s *dbtest.S3Server, endpoint string) {
	b.t.Helper()
	b.write("secret", []byte(s.SecretKey+"\n"))
	b.configure("DBACKED_STORAGE", "s3://backups/some/prefix", "DBACKED_S3_ENDPOINT", endpoint,
		"DBACKED_S3_ACCESS_KEY_ID", s.AccessKey, "DBACKED_S3_SECRET_ACCESS_KEY_FILE", b.path("secret"))
}

// keys lists what is in the bucket, without the lease.
func keysIn(t *testing.T, s *dbtest.S3Server) (keys []string, uploads int) {
	t.Helper()
	client := s.Client(t)
	for o := range client.Client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if !strings.Contains(o.Key, "/control/") {
			keys = append(keys, o.Key)
		}
	}
	for u := range client.Client.ListIncompleteUploads(context.Background(), "backups", "", true) {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		uploads++
	}
	return keys, uploads
}

// TestBucket is the life of backups in a bucket, with every command.
func TestBucket(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	onBoth := []*engine{postgres, mariadb}
	for _, e := range onBoth {
		t.Run(e.name, func(t *testing.T) {
			b := newBed(t, e)
			b.small(60000) // some parts
			b.bucket(s, s.Endpoint)
			b.settings["DBACKED_COMPRESSION"] = "none"
			b.configure("DBACKED_STORAGE", "s3://backups/"+e.kind)
			b.run("check", "shop").ok().says("s3://backups/" + e.kind + " can be written")
			first := b.backup()
			second := b.backup()
			if ids := b.list(); len(ids) != 2 || ids[0] != second {
				t.Fatalf("listed: %v", ids)
			}
			b.run("verify", "shop", "--all").ok()
			into := b.emptyDatabase()
			b.run("restore", "shop", first, "-y", "--db-name", into).ok()
			count := "SELECT count(*) FROM a"
			if got, want := b.server.SQL(t, into, count), b.server.SQL(t, b.db, count); got != want {
				t.Errorf("%s rows instead of %s", got, want)
			}
			b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ok() // the service counts seconds
			if ids := b.list(); len(ids) != 1 || ids[0] != second {
				t.Errorf("after the prune: %v", ids)
			}
			b.run("remove", "shop", second, "-y").ok()
			if keys, uploads := keysIn(t, s); len(keys) != 0 || uploads != 0 {
				t.Errorf("left: %q, %d uploads", keys, uploads)
			}
		})
	}
}

// TestBucketFails names what is wrong with a bucket, without its secrets.
func TestBucketFails(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(10)
	b.bucket(s, s.Endpoint)
	for name, c := range map[string]struct {
		variable, value string
		status          int
		says            string
	}{
		"no such bucket": {"DBACKED_STORAGE", "s3://nowhere/x", exitFailure, "nowhere"},
		"wrong key":      {"DBACKED_S3_ACCESS_KEY_ID", "somebody", exitFailure, "access key"},
		"no region":      {"DBACKED_S3_PATH_STYLE", "perhaps", exitConfig, "auto, always or never"},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.with(c.variable, c.value).run("backup", "shop").ends(c.status, c.says)
			if strings.Contains(r.err, s.SecretKey) {
				t.Errorf("the secret key is shown: %s", r)
			}
		})
	}
	if keys, uploads := keysIn(t, s); len(keys) != 0 || uploads != 0 {
		t.Errorf("left: %q, %d uploads", keys, uploads)
	}
}

// TestBucketWithoutConditions: check finds a service that ignores If-None-Match
// without saying so.
func TestBucketWithoutConditions(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(10)
	target, err := url.Parse(s.Endpoint)
	b.must(err)
	client := s.Client(t)
	deaf := httptest.NewServer(&httputil.ReverseProxy{Director: func(r *http.Request) {
		r.URL.Scheme, r.URL.Host = target.Scheme, target.Host
		if r.Header.Get("If-None-Match") != "" { // which is signed: have nothing there to match
			_ = client.RemoveObject(context.Background(), "backups", strings.TrimPrefix(r.URL.Path, "/backups/"), minio.RemoveObjectOptions{})
		}
	}})
	t.Cleanup(deaf.Close)
	b.bucket(s, deaf.URL)
	b.run("check", "shop").ends(exitFailure).says("fail  storage: it overwrites what is there")
}

// TestBucketStopped ends a backup in the middle: nothing of it stays, and what a
// killed one leaves the next run removes once it is known to be dead.
func TestBucketStopped(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(60000)
	b.fifo("here")
	b.fifo("go")
	b.bucket(s, s.Endpoint)
	b.configure("DBACKED_COMPRESSION", "none")
	b.wrap(postgres.dump, fmt.Sprintf(`"$REAL" "$@" > "$BED/whole"; head -c 30000000 "$BED/whole"; %s%s`, here, until))
	r := b.start(nil, "backup", "shop")
	r.reached(b.path("here"))
	b.must(r.cmd.Process.Signal(syscall.SIGTERM))
	r.wait().ends(exitInterrupted)
	if keys, uploads := keysIn(t, s); len(keys) != 0 || uploads != 0 {
		t.Errorf("left: %q, %d uploads", keys, uploads)
	}
	b.unwrap(postgres.dump)
	b.backup() // the lease is free
}

// TestBucketThroughFaults makes backups through a proxy that breaks every few
// requests: each run ends in a proved backup or in a failure that leaves nothing.
func TestBucketThroughFaults(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(60000)
	well := func(*http.Request) dbtest.Fault { return dbtest.Fault{} }
	proxy := dbtest.NewFaultProxy(t, s.Host, well)
	b.bucket(s, proxy.Endpoint)
	b.configure("DBACKED_COMPRESSION", "none", "DBACKED_STALL_TIMEOUT", "6s")
	outcomes := map[string]int{}
	for seed := range uint64(6) {
		proxy.SetPlan(dbtest.Seeded(seed, 8))
		r := b.run("backup", "shop")
		proxy.SetPlan(well)
		ids := b.list()
		switch {
		case r.code == exitOK && len(ids) > 0 && ids[0] == strings.TrimSpace(r.out):
			outcomes["proved"]++
			b.run("verify", "shop", ids[0]).ok()
		case r.code != exitOK && !strings.Contains(fmt.Sprint(ids), "proved"):
			outcomes["failed"]++
		default:
			t.Errorf("seed %d: %s; listed %v", seed, r, ids)
		}
	}
	t.Logf("outcomes: %v; faults: %v", outcomes, proxy.Done())
	if outcomes["proved"] == 0 {
		t.Error("no run survived")
	}
}
