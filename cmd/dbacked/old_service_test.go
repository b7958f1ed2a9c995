package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

// oldBed is a service of 2018: this project's own, behind a proxy that takes away what
// is younger.
type oldBed struct {
	*service
	fault atomic.Pointer[fault]
	calls sync.Map // how often each call was made, by its method and path
}

type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// newOldBed is newService, of a service of 2018, which gives a key what it lists.
func newOldBed(b *bed, project ...string) *oldBed {
	b.t.Helper()
	o := &oldBed{service: newService(b, append([]string{"--public-key", b.path("public.pem"), "--agents-restore"}, project...)...)}
	target := &url.URL{Scheme: "http", Host: o.address}
	old := dbtest.OldService(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the addresses that it signs are the proxy's
		},
		ErrorLog: log.New(io.Discard, "", 0), // of those whom a test cuts off
	})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := o.calls.LoadOrStore(r.Method+" "+r.URL.Path, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		if f := o.fault.Load(); f != nil {
			(*f)(w, r, old)
			return
		}
		old.ServeHTTP(w, r)
	}))
	b.t.Cleanup(proxy.Close)
	b.configure("DBACKED_API_URL", proxy.URL)
	return o
}

func (o *oldBed) behave(f fault) { o.fault.Store(&f) }

// sql changes what the service knows, where the real thing takes hours.
func (o *oldBed) sql(statement string) {
	o.b.t.Helper()
	out, err := exec.Command("python3", "-c", `import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=10) as db: db.execute(sys.argv[2])`, o.b.path("service/server.db"), statement).CombinedOutput()
	if err != nil {
		o.b.t.Fatalf("%v: %s", err, out)
	}
}

// called is how often a call was made.
func (o *oldBed) called(call string) int32 {
	n, _ := o.calls.LoadOrStore(call, new(atomic.Int32))
	return n.(*atomic.Int32).Load()
}

// onceLost does what a call says, and drops the answer, the first time that it is said.
func onceLost() fault {
	var seen sync.Map
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, again := seen.LoadOrStore(fmt.Sprintf("%s %s %x", r.Method, r.URL.Path, md5.Sum(body)), true); again {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// grow adds a table, so that a backup has several parts.
func (b *bed) grow() {
	b.t.Helper()
	b.configure("DBACKED_COMPRESSION", "none", "DBACKED_UPLOAD_MEMORY", "25MiB")
	if b.e == postgres {
		b.server.SQL(b.t, b.db, `CREATE TABLE padding AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 40000) i`)
		return
	}
	b.server.SQL(b.t, b.db, `CREATE TABLE padding (i int PRIMARY KEY, t varchar(320)) ENGINE=InnoDB; INSERT INTO padding SELECT seq, repeat(md5(seq), 10) FROM seq_1_to_40000`)
}

// TestOldServiceRoundTrip loses a database whose backup an old service keeps, and gets it
// back; the first answer to each call is lost on the way.
func TestOldServiceRoundTrip(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(500)
		b.grow()
		before := b.server.PlainDump(t, b.db)
		o := newOldBed(b)
		o.behave(onceLost())
		b.configure("DBACKED_LARGE_TABLE", "1kB") // all the same it is one file
		b.run("check", "shop").ok().says("knows the key", "one file a backup and no manifest", "needs the private key")

		id := b.backup()
		if n := parts(o); n < 3 {
			t.Errorf("it has %d parts: this shows little", n)
		}
		b.run("list", "shop").ok().says(id, e.kind, "not proved")
		b.run("list", "shop", "--json").ok().says(`"id":"`+id, `"proved":false`, `"dbType":"`+e.kind)
		b.without("DBACKED_PRIVATE_KEY_FILE").run("verify", "shop").ends(exitConfig, "no manifest", "private key")
		b.run("verify", "shop", "--listed").ends(exitRefused, "keeps none")
		b.run("verify", "shop").ok().says(id, "ok", "decrypted and decompressed", "not proved")
		b.run("verify", "shop", "--all", "--json").ok().says(`"ok":true`, `"proved":false`)

		b.drop(b.db)
		b.run("restore", "shop", "-y", "--create").ends(exitOrigin, id, "no manifest", "--accept-unproved-origin")
		b.run("restore", "shop", "nothing", "-y").ends(exitNotFound, "dbacked list shop")
		b.run("restore", "shop", id[:12], "-y", "--create", "--accept-unproved-origin").ok(id, "not proved", "is created")
		if after := b.server.PlainDump(t, b.db); after != before {
			t.Errorf("the dumps before (%d bytes) and after (%d bytes) differ", len(before), len(after))
		}
	})
}

// parts counts the parts that were put.
func parts(o *oldBed) (n int) {
	o.calls.Range(func(call, _ any) bool {
		if strings.HasPrefix(call.(string), "PUT ") {
			n++
		}
		return true
	})
	return n
}

// TestOldServiceRestoreBreaks breaks a download off, after which its address is refused:
// the restore goes on if the file is the same; if not, nothing is in the database.
func TestOldServiceRestoreBreaks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, e *engine) {
		b := newBed(t, e)
		b.small(1)
		b.grow()
		o := newOldBed(b)
		id := b.backup()
		o.sql("UPDATE projects SET next_due = 1")
		other := b.backup()
		into := b.emptyDatabase()
		restore := []string{"restore", "shop", id, "-y", "--accept-unproved-origin", "--db-name", into}

		broken := o.breaks(id, other)
		b.run(restore...).ends(exitFailure, "it changed while it was read")
		b.wantEmpty(into)
		if !broken.Load() {
			t.Error("nothing was broken off")
		}
		broken = o.breaks(id, id)
		b.run(restore...).ok()
		if !broken.Load() {
			t.Error("nothing was broken off")
		}
		if n := b.server.SQL(t, into, "SELECT count(*) FROM padding"); n != "40000" {
			t.Errorf("%s rows", n)
		}
	})
}

// breaks ends the first long download half way, refuses its address from then on, and
// gives another file's instead.
func (o *oldBed) breaks(id, then string) *atomic.Bool {
	var broken, refused atomic.Bool
	o.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		download := r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/files/")
		switch {
		case download && !broken.Load():
			next.ServeHTTP(&cutOff{w, 8 << 20, &broken}, r)
		case download && !refused.Swap(true):
			http.Error(w, "<Code>AccessDenied</Code><Message>Request has expired</Message>", http.StatusForbidden)
		default:
			if broken.Load() {
				r.URL.Path = strings.Replace(r.URL.Path, "backups/"+id, "backups/"+then, 1)
			}
			next.ServeHTTP(w, r)
		}
	})
	return &broken
}

// cutOff is an answer that ends early.
type cutOff struct {
	http.ResponseWriter
	left int
	off  *atomic.Bool
}

func (c *cutOff) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutOff) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left <= 0 {
		c.off.Store(true)
		return 0, http.ErrAbortHandler
	}
	return c.ResponseWriter.Write(p)
}
