package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

const (
	// sideKills is how many processes are killed, unless DBACKED_TEST_KILLS says
	// another number, as make storm does.
	sideKills = 6
	sidePairs = 6
	sideTerm  = "10s" // of leases
	// sideLimit is what a machine whose neighbour was killed may take to make its
	// backup: the term, more than half of it again, and the backup.
	sideLimit = time.Minute
)

// pair is two machines that make backups of one instance, in one bucket, and
// know nothing of each other but what is in it.
type pair struct {
	t        *testing.T
	service  *dbtest.S3Server
	prefix   string
	machines [2]*bed
	random   *rand.Rand
	usual    time.Duration // that a backup takes

	made  []string       // the ids of backups whose process said that it made them
	kills map[string]int // by what was in the bucket just then
	held  int            // runs that found the lease taken
}

// TestKilledSideBySide kills one of two machines that back up side by side, at a
// random moment, again and again. The other is never disturbed and goes on,
// every manifest that exists verifies, and one run past the orphan age leaves
// nothing behind.
func TestKilledSideBySide(t *testing.T) {
	t.Parallel()
	kills := sideKills
	if text := os.Getenv("DBACKED_TEST_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("DBACKED_TEST_KILLS: %v", err)
		}
		kills = n
	}
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	found := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range sidePairs { // they mostly wait for leases to run out
		all.Go(func() {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				p := newPair(t, s, n)
				for range kills/sidePairs + min(1, max(0, kills%sidePairs-n)) {
					p.round()
				}
				p.check()
				mu.Lock()
				defer mu.Unlock()
				for what, times := range p.kills {
					found["killed, "+what] += times
				}
				found["backups made by those that were not"] += len(p.made)
				found["runs that found the lease taken"] += p.held
			})
		})
	}
	all.Wait()
	t.Logf("%d kills: %v", kills, found)
}

func newPair(t *testing.T, s *dbtest.S3Server, n int) *pair {
	t.Helper()
	p := &pair{t: t, service: s, prefix: fmt.Sprintf("pair-%d", n), random: rand.New(rand.NewPCG(uint64(n), 3)), kills: map[string]int{}}
	var trust []string
	for i := range p.machines {
		b := newBed(t, postgres)
		signer, err := catalog.LoadOrCreateSigner(b.path("state"))
		b.must(err)
		trust = append(trust, signer.Verifier())
		b.bucket(s, s.Endpoint)
		p.machines[i] = b
	}
	p.machines[0].small(20000) // 14 MB: three parts
	for i, b := range p.machines {
		b.configure("DBACKED_STORAGE", "s3://backups/"+p.prefix, "DBACKED_DB_NAME", p.machines[0].db, "DBACKED_COMPRESSION", "none",
			"DBACKED_UPLOAD_MEMORY", "30MiB", "DBACKED_TRUST", trust[1-i])
		p.machines[i] = b.with("TEST_LEASE_TERM", sideTerm)
	}
	p.usual = time.Hour
	for _, b := range p.machines {
		began := time.Now()
		p.made = append(p.made, b.backup())
		p.usual = min(p.usual, time.Since(began))
	}
	return p
}

// round kills one of the two, the first or the second that was started, and waits
// until the other has made its backup.
func (p *pair) round() {
	p.t.Helper()
	for {
		one := p.random.IntN(2)
		machines := []*bed{p.machines[one], p.machines[1-one]}
		after := p.usual/6 + time.Duration(p.random.Int64N(int64(p.usual)*5/6))
		between := time.Duration(p.random.Int64N(int64(after)))
		runs := []*running{machines[0].start(nil, "backup", "shop")}
		p.pause(runs[0], between)
		runs = append(runs, machines[1].start(nil, "backup", "shop"))
		p.pause(runs[0], after-between)
		victim := max(0, p.random.IntN(3)-1) // the first that was started more often: it likely has the lease
		runs[victim].cmd.Process.Kill()
		res := runs[victim].wait()
		killed := res.code == -1
		if killed {
			p.kills[p.leftovers()]++
		} else {
			p.ended(res)
		}
		p.goOn(machines[1-victim], runs[1-victim])
		if killed {
			return
		}
	}
}

// pause waits, but not longer than a run goes on.
func (p *pair) pause(r *running, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ended:
	}
}

// goOn repeats a run that finds the lease taken until it makes a backup. Nothing
// else may happen to it.
func (p *pair) goOn(b *bed, r *running) {
	p.t.Helper()
	tick := time.NewTicker(1500 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !p.ended(r.wait()); r = b.start(nil, "backup", "shop") {
		if time.Since(began) > sideLimit {
			p.t.Fatalf("no backup within %v after the other one was killed", sideLimit)
		}
		<-tick.C
	}
}

// ended notes how a run that was not killed ended, and tells whether it made a
// backup.
func (p *pair) ended(res *result) bool {
	p.t.Helper()
	switch res.code {
	case exitOK:
		p.made = append(p.made, strings.TrimSpace(res.out))
		return true
	case exitAgain:
		p.held++
	default:
		p.t.Errorf("a run that nobody killed: %s", res)
	}
	return false
}

// folders are the files of the pair's backups, by id, and its open uploads.
func (p *pair) folders() (files map[string][]string, uploads []string) {
	p.t.Helper()
	client, prefix := p.service.Client(p.t).Client, p.prefix+"/shop/"
	files = map[string][]string{}
	for o := range client.ListObjects(context.Background(), "backups", minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			p.t.Fatal(o.Err)
		}
		id, name, _ := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
		if id != "control" {
			files[id] = append(files[id], name)
		}
	}
	for u := range client.ListIncompleteUploads(context.Background(), "backups", prefix, true) {
		if u.Err != nil {
			p.t.Fatal(u.Err)
		}
		uploads = append(uploads, u.Key)
	}
	return files, uploads
}

// leftovers says what is there of backups that are not complete.
func (p *pair) leftovers() string {
	p.t.Helper()
	files, uploads := p.folders()
	parts := 0
	for _, names := range files {
		if !slices.Contains(names, "manifest") {
			parts++
		}
	}
	switch {
	case len(uploads) > 0 && parts > 0:
		return "an upload open, a file stored"
	case len(uploads) > 0:
		return "an upload open"
	case parts > 0:
		return "a file stored"
	}
	return "nothing half-made"
}

// check looks at all that there is, and has one run past the orphan age remove
// what is half-made.
func (p *pair) check() {
	p.t.Helper()
	for _, machine := range p.machines {
		list := machine.list()
		for _, id := range p.made {
			if !slices.Contains(list, id) {
				p.t.Errorf("the backup %s of a machine that was not killed is gone", id)
			}
		}
	}
	<-time.After(2 * time.Second) // the service counts seconds
	b := p.machines[0].with("DBACKED_ORPHAN_AGE", "1s")
	p.goOn(b, b.start(nil, "backup", "shop"))
	b.run("verify", "shop", "--all").ok()
	list := b.list()
	files, uploads := p.folders()
	if len(files) != len(list) || len(uploads) > 0 {
		p.t.Errorf("%d backups are listed, %d are there, and uploads of %q", len(list), len(files), uploads)
	}
	for id, names := range files {
		if !slices.Equal(names, []string{"0000.dbacked", "0001.dbacked", "manifest"}) {
			p.t.Errorf("left of %s: %q", id, names)
		}
	}
	into := b.emptyDatabase()
	b.run("restore", "shop", list[len(list)-1], "-y", "--db-name", into).ok()
	if n := b.server.SQL(p.t, into, "SELECT count(*) FROM a"); n != "20000" {
		p.t.Errorf("%s rows were restored", n)
	}
}
