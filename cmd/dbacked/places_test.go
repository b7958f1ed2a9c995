package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// twoPlaces makes the bed's storage a folder and a bucket of a real service.
func (b *bed) twoPlaces(s *dbtest.S3Server, endpoint string) (folder, bucket string) {
	b.t.Helper()
	b.bucket(s, endpoint)
	folder, bucket = "file://"+b.path("storage"), "s3://backups/some/prefix"
	b.configure("DBACKED_STORAGE", folder+","+bucket, "DBACKED_COMPRESSION", "none")
	return folder, bucket
}

// TestFolderAndBucket is the life of backups in a folder and a bucket at once.
func TestFolderAndBucket(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	for _, e := range []*engine{postgres, mariadb} {
		t.Run(e.name, func(t *testing.T) {
			b := newBed(t, e)
			b.small(30000)
			bucketName := "backups"
			if e == postgres {
				s.Bucket(t, bucketName, false)
			}
			folder, _ := b.twoPlaces(s, s.Endpoint)
			bucket := "s3://backups/" + e.kind
			b.configure("DBACKED_STORAGE", folder+","+bucket)
			b.run("check", "shop").ok().says("storage, place 1: " + folder + " can be written").says("storage, place 2: " + bucket + " can be written")
			first := strings.TrimSpace(b.run("backup", "shop").ok().out)
			second := strings.TrimSpace(b.run("backup", "shop").ok().out)
			r := b.run("list", "shop").ok().says("IN")
			if strings.Count(r.out, folder+","+bucket) != 2 {
				t.Errorf("not both in both: %s", r)
			}
			b.run("verify", "shop", "--all").ok()
			count := "SELECT count(*) FROM a"
			for _, from := range []string{"s3", folder, "2"} {
				into := b.emptyDatabase()
				b.run("restore", "shop", first, "-y", "--db-name", into, "--from", from).ok()
				if got, want := b.server.SQL(t, into, count), b.server.SQL(t, b.db, count); got != want {
					t.Errorf("from %s: %s rows instead of %s", from, got, want)
				}
			}
			b.run("restore", "shop", "-y", "--from", "gs").ends(exitConfig, "none of its places")
			// The first is gone: the next answers.
			b.must(os.Rename(b.path("storage"), b.path("elsewhere")))
			into := b.emptyDatabase()
			b.run("restore", "shop", "-y", "--db-name", into).ends(exitOK, folder+" does not answer", "from "+bucket)
			b.run("backup", "shop").ends(exitFailure, "the first place, which holds the lock")
			b.must(os.Rename(b.path("elsewhere"), b.path("storage")))
			// Each place is pruned by itself.
			b.run("remove", "shop", second, "-y", "--from", "s3").ok()
			b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ok()
			if got := b.in(folder); !slices.Equal(got, []string{second}) {
				t.Errorf("in the folder: %v", got)
			}
			if got := b.in(bucket); !slices.Equal(got, []string{first}) {
				t.Errorf("in the bucket: %v", got)
			}
			b.run("restore", "shop", "-y", "--from", "2", "--db-name", b.emptyDatabase()).ok()
			b.run("remove", "shop", first, "-y").ok()
			if got := b.in(bucket); len(got) != 0 {
				t.Errorf("in the bucket: %v", got)
			}
		})
	}
}

// in lists the ids of the backups that a place holds.
func (b *bed) in(place string) (ids []string) {
	b.t.Helper()
	for line := range strings.Lines(b.run("list", "shop", "--json", "--from", place).ok().out) {
		var row struct{ ID string }
		b.must(json.Unmarshal([]byte(line), &row))
		ids = append(ids, row.ID)
	}
	return ids
}

// TestPartialBackup: a bucket that fails in the middle leaves a good backup in the
// folder, nothing in the bucket, and a status of its own.
func TestPartialBackup(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	b := newBed(t, postgres)
	b.small(60000)
	var parts atomic.Int32
	proxy := dbtest.NewFaultProxy(t, s.Host, func(*http.Request) dbtest.Fault { return dbtest.Fault{} })
	folder, bucket := b.twoPlaces(s, proxy.Endpoint)
	b.configure("DBACKED_STALL_TIMEOUT", "8s") // so a place may keep the others waiting for 4 s
	for name, plan := range map[string]dbtest.Plan{
		"refused at the third part": func(r *http.Request) dbtest.Fault {
			if r.URL.Query().Has("partNumber") && parts.Add(1) > 2 {
				return dbtest.Fault{Name: "refuse", Status: http.StatusForbidden}
			}
			return dbtest.Fault{}
		},
		"stalled at the third part": func(r *http.Request) dbtest.Fault {
			if r.URL.Query().Has("partNumber") && parts.Add(1) > 2 {
				return dbtest.Fault{Name: "stall", Stall: true}
			}
			return dbtest.Fault{}
		},
		"refused at the manifest": func(r *http.Request) dbtest.Fault {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifest") {
				return dbtest.Fault{Name: "refuse", Status: http.StatusForbidden}
			}
			return dbtest.Fault{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			parts.Store(0)
			proxy.SetPlan(plan)
			r := b.run("backup", "shop", "--json").ends(exitPartial, "but not in every place")
			proxy.SetPlan(func(*http.Request) dbtest.Fault { return dbtest.Fault{} })
			var made struct {
				ID     string
				Places []placeResult
			}
			b.must(json.Unmarshal([]byte(r.out), &made))
			if len(made.Places) != 2 || !made.Places[0].OK || made.Places[1].OK || made.Places[1].Error == "" {
				t.Errorf("%+v", made)
			}
			if strings.Contains(r.err, s.SecretKey) {
				t.Errorf("the secret key is shown: %s", r)
			}
			b.run("verify", "shop", made.ID, "--from", folder).ok()
			b.run("list", "shop").ok().says(made.ID)
			if got := b.in(bucket); slices.Contains(got, made.ID) {
				t.Errorf("in the bucket: %v", got)
			}
			if keys, uploads := keysIn(t, s); len(keys) != 0 || uploads != 0 {
				t.Errorf("left: %q, %d uploads", keys, uploads)
			}
			into := b.emptyDatabase()
			b.run("restore", "shop", made.ID, "-y", "--db-name", into).ok()
		})
	}
	// A whole one in both, then the bucket's is newer than the folder's.
	both, newer := b.backup(), b.backup()
	if newer <= both {
		t.Errorf("%s was made after %s", newer, both)
	}
	b.run("remove", "shop", newer, "-y", "--from", "1").ok()
	b.run("restore", "shop", "-y", "--db-name", b.emptyDatabase()).ends(exitOK, "has a newer backup, "+newer)
	b.run("restore", "shop", newer, "-y", "--db-name", b.emptyDatabase()).ends(exitOK, "from "+bucket)
}

// TestSameFolderTwice: a folder under two names is one place.
func TestSameFolderTwice(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(10)
	b.must(os.Symlink(b.path("storage"), b.path("link")))
	b.configure("DBACKED_STORAGE", "file://"+b.path("storage")+",file://"+b.path("link"))
	b.run("check", "shop").ends(exitFailure).says("it is the same folder as")
	id := strings.TrimSpace(b.run("backup", "shop").ends(exitPartial, "it is the same folder as").out)
	b.run("verify", "shop", id, "--from", "1").ok()
}

// TestAgentOfTwoPlaces: a place that is away makes the run partial, and when it is
// back it alone is given a backup.
func TestAgentOfTwoPlaces(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	b.must(os.Mkdir(b.path("usb"), 0o700))
	first, usb := "file://"+b.path("storage"), "file://"+b.path("usb")
	b.configure("DBACKED_STORAGE", first+","+usb, "DBACKED_KEEP_LAST", "1", "DBACKED_KEEP_MINIMUM", "0s")
	b.must(os.Rename(b.path("usb"), b.path("unplugged")))
	m := newManager(t)
	r, running := b.agentOf(m)
	m.hears("STATUS=", "partial")
	s := awaits(t, running, "a partial run", func(s agent.Status) bool { return s.Partials == 1 && s.Running == nil })
	if s.Healthy || !s.Runs[0].Partial || len(s.Places) != 2 {
		t.Errorf("%+v", s)
	}
	ask := b.run("backup", "shop", "--here").ends(exitPartial)
	b.must(os.Rename(b.path("unplugged"), b.path("usb")))
	if got := b.in(first); len(got) != 2 || got[0] != strings.TrimSpace(ask.out) {
		t.Errorf("in the first: %v, %s", got, ask)
	}
	// The next try would come within a minute; a restart does not wait.
	b.must(r.cmd.Process.Signal(os.Interrupt))
	r.wait().ok()
	_, running = b.agentOf(newManager(t))
	s = awaits(t, running, "the place that was behind", func(s agent.Status) bool { return s.Successes == 1 && s.Healthy })
	if !s.Healthy || len(b.in(first)) != 2 || len(b.in(usb)) != 1 {
		t.Errorf("%v, %v, %+v", b.in(first), b.in(usb), s)
	}
	// The first, which took no part, was not pruned; with a backup in both, both are.
	if _, err := running.backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaits(t, running, "the prune", func(agent.Status) bool { return len(b.in(first)) == 1 && len(b.in(usb)) == 1 })
	if left, _ := filepath.Glob(b.path("usb/shop/*/.*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDropInsOfPlaces lets the service write to each place, and insists on the
// first alone.
func TestDropInsOfPlaces(t *testing.T) {
	places := config.Places{{Scheme: "file", Path: "/var/lib/dbacked"}, {Scheme: "s3", Bucket: "b"}, {Scheme: "file", Path: "/mnt/usb"}, {Scheme: "file", Path: "/home/x"}}
	c := &config.Config{Instance: "shop", Storage: places[0], Places: places}
	text := storageDropIns(c)
	if !strings.Contains(text, "ReadWritePaths=-/mnt/usb\n") || !strings.Contains(text, "BindPaths=-/home/x\n") || strings.Contains(text, "RequiresMountsFor") {
		t.Error(text)
	}
	c.Storage, c.Places = places[2], config.Places{places[2], places[3]}
	text = storageDropIns(c)
	if strings.Count(text, "[Service]") != 1 || strings.Count(text, "RequiresMountsFor=/mnt/usb\n") != 1 || !strings.Contains(text, "ReadWritePaths=-/home/x\n") {
		t.Error(text)
	}
	c.Places = places[2:3]
	if storageDropIns(c) != storageDropIn(c) {
		t.Error(storageDropIns(c))
	}
}
