package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

// clocks is two machines that back up one instance into one bucket: the clock of
// one is right, that of the other is what the test makes it.
type clocks struct {
	t            *testing.T
	right, wrong *bed
}

// newClocks has the wrong one speak to the service through an address of its own.
func newClocks(t *testing.T, s *dbtest.S3Server, program, endpoint, prefix string) *clocks {
	t.Helper()
	c := &clocks{t, newBed(t, postgres), newBed(t, postgres)}
	c.right.small(10)
	var trust []string
	for _, b := range []*bed{c.right, c.wrong} {
		signer, err := catalog.LoadOrCreateSigner(b.path("state"))
		b.must(err)
		trust = append(trust, signer.Verifier())
		b.fifo("here")
		b.fifo("go")
	}
	c.right.bucket(s, s.Endpoint)
	c.wrong.bucket(s, endpoint)
	for i, b := range []*bed{c.right, c.wrong} {
		b.configure("DBACKED_STORAGE", "s3://backups/"+prefix, "DBACKED_DB_NAME", c.right.db, "DBACKED_TRUST", trust[1-i])
	}
	c.wrong = c.wrong.with(dbtest.ClockVariable, c.wrong.path("clock"))
	c.wrong.program = program
	return c
}

// set makes the wrong clock wrong by some seconds.
func (c *clocks) set(seconds int) { c.wrong.write("clock", []byte(fmt.Sprint(seconds))) }

// keeps wants just these backups to be there, and each to be good.
func (c *clocks) keeps(ids ...string) {
	c.t.Helper()
	list := c.right.list()
	if !slices.Equal(slices.Sorted(slices.Values(list)), slices.Sorted(slices.Values(ids))) {
		c.t.Errorf("there are %q instead of %q", list, ids)
	}
	c.right.run("verify", "shop", "--all").ok()
}

// dumping has a machine make a backup, up to the middle of its dump. What it
// returns lets that go on.
func (c *clocks) dumping(b *bed) (r *running, goOn func() string) {
	c.t.Helper()
	b.wrap(postgres.dump, stages["before the dump"])
	r = b.start(nil, "backup", "shop")
	r.reached(b.path("here"))
	b.unwrap(postgres.dump)
	return r, func() string {
		c.t.Helper()
		b.write("go", []byte("go on\n"))
		return strings.TrimSpace(r.wait().ok().out)
	}
}

const hour = 3600

// TestClocks: a machine whose clock is an hour ahead, or behind, or jumps while
// it works, neither takes a lease that lives nor removes a backup that is to stay.
func TestClocks(t *testing.T) {
	t.Parallel()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	program := t.TempDir() + "/dbacked"
	dbtest.WithClock(t, ".", program)
	lenient := signsAnew(t, s)

	t.Run("a service that looks at the clock", func(t *testing.T) {
		c := newClocks(t, s, program, s.Endpoint, "strict")
		good := c.right.backup()
		for _, seconds := range []int{hour, -hour} {
			c.set(seconds)
			for _, args := range [][]string{{"backup", "shop"}, {"prune", "shop", "--keep-last", "1", "--keep-minimum", "0s"}} {
				c.wrong.run(args...).ends(exitFailure, "RequestTimeTooSkewed", "this machine's clock is wrong: set it")
			}
		}
		c.keeps(good)
	})
	for name, jumps := range map[string][]int{"ahead": {hour}, "behind": {-hour}, "jumping": {hour, -hour, 0, 26 * hour}} {
		t.Run(name, func(t *testing.T) { testClock(newClocks(t, s, program, lenient, name), jumps) })
	}
}

func testClock(c *clocks, jumps []int) {
	c.t.Helper()
	ids := []string{c.right.backup(), c.right.backup()}

	// The other's lease lives, whatever the clock says.
	_, goOn := c.dumping(c.right)
	for _, seconds := range jumps {
		c.set(seconds)
		c.wrong.run("backup", "shop").ends(exitAgain, "another")
		c.wrong.run("prune", "shop", "--keep-last", "1", "--keep-minimum", "0s").ends(exitAgain, "another")
	}
	ids = append(ids, goOn())
	c.keeps(ids...)

	// Its own does too, while its clock jumps.
	c.set(0)
	_, goOn = c.dumping(c.wrong)
	for _, seconds := range jumps {
		c.set(seconds)
		c.right.run("backup", "shop").ends(exitAgain, "another")
	}
	ids = append(ids, goOn())
	c.keeps(ids...)

	// Nothing is old for it, since the backups are of the same minute; to one that
	// is behind they are of the future, and it removes nothing.
	for _, seconds := range jumps {
		c.set(seconds)
		r := c.wrong.run("prune", "shop", "--keep-for", "30m", "--keep-minimum", "0s")
		if seconds < 0 {
			r.ends(exitRefused, "from the future")
		} else {
			r.ok()
		}
	}
	c.keeps(ids...)

	// What it makes is told apart by the store's date, not by its own.
	c.set(jumps[0])
	id := strings.TrimSpace(c.wrong.run("backup", "shop").ok().out)
	c.keeps(append(ids, id)...)
	if ahead := id > ids[len(ids)-2]; ahead != (jumps[0] > 0) {
		c.t.Errorf("the clock is right: a backup of it is called %s, and one of the other %s", id, ids[len(ids)-2])
	}
	last := c.right.backup()
	c.right.run("prune", "shop", "--keep-last", "2", "--keep-minimum", "0s", "--force").ok()
	c.keeps(id, last)
}

// signsAnew is the service as one that does not look at the time of a request: it
// signs each anew.
func signsAnew(t *testing.T, s *dbtest.S3Server) (endpoint string) {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Authorization")
		r.Out = signer.SignV4(*r.Out, s.AccessKey, s.SecretKey, "", "us-east-1")
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}
