package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// vault is a bucket that keeps versions, in the hands of somebody who may do what
// he likes there.
type vault struct {
	*bed
	service *dbtest.S3Server
	client  *minio.Client
}

// versioned makes the bed's storage such a bucket, reached at endpoint, "" for the
// service's own.
func (b *bed) versioned(endpoint func(*dbtest.S3Server) string) *vault {
	b.t.Helper()
	s := dbtest.S3(b.t)
	s.Bucket(b.t, "backups", true)
	b.bucket(s, endpoint(s))
	b.configure("DBACKED_STORAGE", "s3://backups/safe")
	return &vault{b, s, s.Client(b.t).Client}
}

func directly(s *dbtest.S3Server) string { return s.Endpoint }

func (v *vault) overwrite(key, text string) {
	v.t.Helper()
	_, err := v.client.PutObject(context.Background(), "backups", key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{SendContentMd5: true})
	v.must(err)
}

func (v *vault) hide(key string) {
	v.t.Helper()
	v.must(v.client.RemoveObject(context.Background(), "backups", key, minio.RemoveObjectOptions{}))
}

func (v *vault) content(key string) string {
	v.t.Helper()
	o, err := v.client.GetObject(context.Background(), "backups", key, minio.GetObjectOptions{})
	v.must(err)
	var text bytes.Buffer
	_, err = text.ReadFrom(o)
	v.must(err)
	return text.String()
}

// everything lists each version of each object but the lease.
func (v *vault) everything() (all []string) {
	v.t.Helper()
	for o := range v.client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		v.must(o.Err)
		if !strings.Contains(o.Key, "/control/") {
			all = append(all, fmt.Sprintf("%s %s %d %v %v", o.Key, o.VersionID, o.Size, o.IsLatest, o.IsDeleteMarker))
		}
	}
	return all
}

// destroy takes away every version of an object, locked or not.
func (v *vault) destroy(key string) {
	v.t.Helper()
	for o := range v.client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Prefix: key, WithVersions: true}) {
		v.must(o.Err)
		v.must(v.client.RemoveObject(context.Background(), "backups", key, minio.RemoveObjectOptions{VersionID: o.VersionID, GovernanceBypass: true}))
	}
}

// rows tells how much a database holds, and what.
func (v *vault) rows(db string) string {
	v.t.Helper()
	return v.server.SQL(v.t, db, "SELECT count(*) || md5(string_agg(a::text, ',' ORDER BY a::text)) FROM a")
}

// TestOlderVersions is what somebody does who holds the credentials of a host that
// backs up into a bucket with object lock: write over what is there, remove it, add
// a backup of his own. What was there stays, in older versions, and is found.
func TestOlderVersions(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(3000)
	v := b.versioned(directly)
	b.configure("DBACKED_S3_OBJECT_LOCK", "governance:1d")
	first, second, third := b.backup(), b.backup(), b.backup()
	b.run("verify", "shop", "--all").ok()
	keys, _ := keysIn(t, v.service)
	genuine := v.content("safe/shop/" + first + "/manifest")
	for _, key := range keys {
		switch id, dump := strings.Split(key, "/")[2], strings.HasSuffix(key, "0001.dbacked"); {
		case id == first && dump:
			v.overwrite(key, strings.Repeat("x", len(v.content(key)))) // as long as the good one
		case id == first && strings.HasSuffix(key, "manifest"):
			v.overwrite(key, "nothing")
		case id == second && strings.HasSuffix(key, "manifest"):
			v.overwrite(key, genuine) // signed, and of another backup
		case id == second:
			v.hide(key)
		case id == third && dump: // no version is good
			long := len(v.content(key))
			v.destroy(key)
			v.overwrite(key, strings.Repeat("x", long))
			v.overwrite(key, strings.Repeat("y", long))
		}
	}
	v.hide("safe/shop/" + first + "/manifest")
	v.overwrite("safe/shop/20991231T235959Z-ffffff/manifest", genuine)

	listed := b.run("list", "shop").ok()
	listed.says(second, "manifest was overwritten on", "version of", "no older version of it is a good one either")
	b.run("verify", "shop", second).ends(exitFailure, "only in older versions").says("0001.dbacked was removed")
	want := v.rows(b.db)
	for id, saw := range map[string]string{first: "0001.dbacked was overwritten", second: "0001.dbacked was removed"} {
		into := b.emptyDatabase()
		r := b.run("restore", "shop", id, "-y", "--db-name", into).ok()
		if !strings.Contains(r.err, "manifest was") || !strings.Contains(r.err, saw) {
			t.Errorf("it does not say what it saw: %s", r)
		}
		if got := v.rows(into); got != want {
			t.Errorf("restored %s instead of %s", got, want)
		}
	}
	into := b.emptyDatabase()
	b.run("restore", "shop", third, "-y", "--db-name", into).ends(exitDamaged, third+"/0001.dbacked: differs from its manifest")
	b.run("verify", "shop", third).ends(exitDamaged, third+"/0001.dbacked: differs from its manifest")
	b.run("restore", "shop", "-y", "--db-name", into).ends(exitOrigin, "20991231T235959Z-ffffff", "no older version of it is a good one either",
		"the newest backup whose origin is proved is "+third+": dbacked restore shop "+third)
	b.wantEmpty(into)
	before := v.everything()
	b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ends(exitRefused, "")
	b.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s", "--force").ends(exitRefused, "")
	if diff := cmp.Diff(before, v.everything()); diff != "" || len(before) < 12 {
		t.Errorf("a prune touched what was tampered with: %s", diff)
	}
}

// TestRemovedBackups: a removed backup may have been meant to go, so it comes back
// by its id alone; but whoever hides everything cannot hide how.
func TestRemovedBackups(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	v := b.versioned(directly)
	first, old := b.backup(), v.rows(b.db)
	b.server.SQL(t, b.db, "DELETE FROM a WHERE i > 50")
	second, young := b.backup(), v.rows(b.db)
	elsewhere := b.with("DBACKED_STATE_DIRECTORY", b.path("tmp"), "DBACKED_TRUST", b.verifierOf("state"))
	restores := func(want string, b *bed, args ...string) *result {
		t.Helper()
		into := b.emptyDatabase()
		r := b.run(append([]string{"restore", "shop", "-y", "--db-name", into}, args...)...).ok()
		if got := v.rows(into); got != want {
			t.Errorf("%q: restored %s instead of %s", args, got, want)
		}
		return r
	}
	quiet := func(r *result) {
		t.Helper()
		if strings.Contains(r.err, "removed") || strings.Contains(r.err, "warning") {
			t.Errorf("it warns of nothing: %s", r)
		}
	}
	quiet(restores(young, b))
	quiet(b.run("verify", "shop").ok())
	b.run("remove", "shop", second, "-y").ok()

	hint := "dbacked restore shop " + second
	restores(old, b).ends(exitOK, "somebody removed "+second+" (on 20", hint)
	b.run("verify", "shop").ends(exitFailure, "somebody removed "+second, hint).says(first + "  ok")
	for _, b := range []*bed{b, elsewhere} {
		quietly := b.run("list", "shop").ends(exitOK, "somebody removed "+second, hint)
		if strings.Contains(quietly.out, second) || !strings.Contains(quietly.out, first) {
			t.Errorf("listed: %s", quietly)
		}
	}
	rows := strings.Split(strings.TrimSpace(b.run("list", "shop", "--json").ok().out), "\n")
	var last listed
	b.must(json.Unmarshal([]byte(rows[1]), &last))
	if len(rows) != 2 || !strings.Contains(rows[0], first) || last.ID != second || !last.Proved || time.Since(last.Removed).Abs() > time.Hour || !strings.Contains(last.Displaced, "was removed on") {
		t.Errorf("%q", rows)
	}
	restores(young, b, second).ends(exitOK, second+"/manifest was removed on", "0001.dbacked was removed on")
	restores(young, b, second[:len(second)-2])

	b.run("remove", "shop", first, "-y").ok()
	into := b.emptyDatabase()
	b.run("restore", "shop", "-y", "--db-name", into).ends(exitNotFound, "somebody removed "+second+" (on 20", first+" (on 20", hint)
	b.wantEmpty(into)
	b.run("verify", "shop").ends(exitNotFound, "dbacked verify shop "+second)
	if r := b.run("list", "shop").ends(exitOK, hint); strings.Contains(r.err, "no backups of shop") {
		t.Errorf("it says both: %s", r)
	}
	v.overwrite("safe/shop/20991231T235959Z-ffffff/manifest", "forged") // no way out either
	b.run("restore", "shop", "-y", "--db-name", into, "--accept-unproved-origin").ends(exitNotFound, hint)
	b.wantEmpty(into)
	restores(old, b, first)
}

// TestVersionsForbidden: who may not list versions hears of that only where they
// could have helped.
func TestVersionsForbidden(t *testing.T) {
	t.Parallel()
	b := newBed(t, postgres)
	b.small(100)
	var asked atomic.Int32
	v := b.versioned(func(s *dbtest.S3Server) string {
		return dbtest.NewFaultProxy(t, s.Host, func(r *http.Request) dbtest.Fault {
			if r.URL.Query().Has("versions") {
				asked.Add(1)
				return dbtest.Fault{Name: "versions", Status: http.StatusForbidden, Code: "AccessDenied"}
			}
			return dbtest.Fault{}
		}).Endpoint
	})
	const right = "s3:ListBucketVersions"
	quiet := func(args ...string) {
		t.Helper()
		if r := b.run(args...).ok(); strings.Contains(r.err, right) {
			t.Errorf("%q: it says what does not matter: %s", args, r)
		}
	}
	first, second := b.backup(), b.backup()
	asked.Store(0)
	quiet("list", "shop")
	if n := asked.Load(); n != 0 {
		t.Errorf("a list asked %d times for versions", n)
	}
	b.run("restore", "shop", first[:4]+"0", "-y").ends(exitNotFound, right)
	v.hide("safe/shop/" + second + "/manifest")
	quiet("list", "shop")
	quiet("verify", "shop")
	quiet("restore", "shop", "-y", "--db-name", b.emptyDatabase())
	v.overwrite("safe/shop/"+first+"/manifest", "nothing")
	b.run("restore", "shop", "-y").ends(exitOrigin, right)
	v.hide("safe/shop/" + first + "/manifest")
	for _, args := range [][]string{{"restore", "shop", "-y"}, {"verify", "shop"}, {"restore", "shop", second, "-y"}} {
		b.run(args...).ends(exitNotFound, right, "might be found")
	}
	b.run("list", "shop").ends(exitOK, right)
}
