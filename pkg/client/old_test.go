package client

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/uploader"
)

// oldData fills several parts.
func oldData() []byte {
	data := make([]byte, 4*smallestPart+12345)
	_, _ = rand.Read(data)
	return data
}

// uploaded is what a backup is made of, as the pipeline does, but for its end.
func (b *bed) uploaded(s storage.Store, data []byte) error {
	b.t.Helper()
	up, err := uploader.New(s, uploader.Options{PartSize: smallestPart, Parallel: 4, Backoff: storage.Backoff{Tries: 4, First: time.Millisecond}})
	b.ok(err)
	_, err = up.Stream().Upload(b.t.Context(), "shop/1/0000.dbacked", bytes.NewReader(data))
	return err
}

// backedUp makes a backup of an old service, and returns what that says of it.
func (b *bed) backedUp(c *Client, data []byte) api.Backup {
	b.t.Helper()
	run := b.ask(c)
	run.PublicKey = "a key"
	s := c.OneFile(run)
	b.ok(b.uploaded(s, data))
	b.ok(s.Put(b.t.Context(), "shop/1/manifest", []byte("signed")))
	b.ok(run.End(nil))
	return b.newest(c, run)
}

func (b *bed) newest(c *Client, run *Run) api.Backup {
	b.t.Helper()
	p, err := c.Project(b.t.Context())
	b.ok(err)
	if !p.Old() || len(p.Backups) == 0 || p.Backups[0].ID != run.ID {
		b.t.Fatalf("it says %+v", p)
	}
	return p.Backups[0]
}

// TestOldService has a backup of several parts, and reads it, in the words of 2018.
func TestOldService(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]int{"folder": inFolder, "bucket": inBucket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOldBed(t, where)
			c := b.client("a")
			data := oldData()
			kept := b.backedUp(c, data)
			if kept.Size != int64(len(data)) || kept.DBType != "pg" {
				t.Errorf("it lists %+v", kept)
			}
			sum := md5.Sum(data)
			if got := b.state(kept.ID, records.StateDone); got.Hash != hex.EncodeToString(sum[:]) || got.PublicKey != "a key" {
				t.Errorf("it was told %+v", got)
			}
			d := c.Download(kept)
			for _, offset := range []int{0, smallestPart + 7, len(data) - 1} {
				b.reads(d, offset, data)
			}
		})
	}
}

func (b *bed) reads(d *Download, offset int, data []byte) {
	b.t.Helper()
	r, err := d.Open(b.t.Context(), int64(offset))
	b.ok(err)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data[offset:]) {
		b.t.Errorf("read %d bytes from %d on instead of %d, %v", len(got), offset, len(data)-offset, err)
	}
	b.ok(r.Close())
}

// TestOldPoll asks once what the service is, and then only whether a backup is due.
func TestOldPoll(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	c := b.client("a")
	run := b.ask(c)
	if !run.Old() || run.Confirm(t.Context()) != nil {
		t.Error("it is no old run")
	}
	var calls atomic.Int32
	b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		calls.Add(1)
		next.ServeHTTP(w, r)
	})
	other := b.client("b")
	for range 5 {
		if _, err := other.Ask(t.Context()); !errors.Is(err, ErrNotDue) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := other.AskNow(t.Context()); !errors.Is(err, ErrNotDue) {
		t.Errorf("error %v", err)
	}
	if n := calls.Load(); n != 7 {
		t.Errorf("%d calls instead of 7", n)
	}
}

// TestOldLostAnswers drops the first answer to each call, and the first of each part.
func TestOldLostAnswers(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	var calls atomic.Int32
	b.behave(lostOnce(&calls))
	c := b.client("a")
	data := oldData()
	kept := b.backedUp(c, data)
	b.reads(c.Download(kept), 3, data)
	if n := calls.Load(); n < 24 {
		t.Errorf("only %d calls: this shows nothing", n)
	}
}

// isDone says whether a call is DONE.
func isDone(r *http.Request) bool {
	text, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	var st api.Status
	return err == nil && json.Unmarshal(text, &st) == nil && st.Status == api.StatusDone
}

// heardOnce does the first DONE, drops its answer, and refuses all others: a service
// need not know that it was said before.
func heardOnce(heard bool) func(w http.ResponseWriter, r *http.Request, next http.Handler) {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPost || !isDone(r) {
			next.ServeHTTP(w, r)
			return
		}
		once.Do(func() {
			if heard {
				next.ServeHTTP(nowhere{http.Header{}}, r)
			}
			panic(http.ErrAbortHandler)
		})
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"status":409,"message":"the upload is over"}`)
	}
}

// TestOldDone says DONE to a service that hears it and is not heard, that does not hear
// it, and that lists nothing or another size.
func TestOldDone(t *testing.T) {
	t.Parallel()
	t.Run("heard", func(t *testing.T) {
		b := newOldBed(t, inFolder)
		b.behave(heardOnce(true))
		b.backedUp(b.client("a"), []byte("some"))
	})
	for name, test := range map[string]struct {
		before bool // the service lists another backup
		fault  func(w http.ResponseWriter, r *http.Request, next http.Handler)
		says   string
		stays  bool // the backup may be there
	}{
		"not heard":             {true, heardOnce(false), "the upload is over", false},
		"not heard, not listed": {false, heardOnce(false), "the upload is over", true},
		"another size":          {false, listing(`"size":4`, `"size":5`), "5 bytes, and 4 were sent", true},
		"not listed":            {true, listing(`"id":"2`, `"id":"3`), "does not list it", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOldBed(t, inFolder)
			c := b.client("a")
			if test.before {
				b.backedUp(c, []byte("before"))
			}
			b.behave(test.fault)
			run := b.ask(c)
			s := c.OneFile(run)
			b.ok(b.uploaded(s, []byte("some")))
			if err := s.Put(t.Context(), "shop/1/manifest", nil); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v", err)
			}
			if err := s.Remove(t.Context(), "shop/1/manifest"); errors.Is(err, storage.ErrForbidden) != test.stays {
				t.Errorf("removing says %v", err)
			}
		})
	}
}

// listing changes what the service lists.
func listing(from, to string) func(w http.ResponseWriter, r *http.Request, next http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/own") {
			next.ServeHTTP(w, r)
			return
		}
		got := &altered{ResponseWriter: w}
		next.ServeHTTP(got, r)
		text := strings.ReplaceAll(got.text.String(), from, to)
		w.Header().Del("Content-Length")
		_, _ = io.WriteString(w, text)
	}
}

// altered is an answer that is to be changed.
type altered struct {
	http.ResponseWriter
	text bytes.Buffer
}

func (a *altered) WriteHeader(int)             {}
func (a *altered) Write(p []byte) (int, error) { return a.text.Write(p) }

// TestOldParts lets addresses expire before they are used, and bytes fall over on their
// way.
func TestOldParts(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	var expired, spoilt atomic.Int32
	b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.Method != http.MethodPut:
		case expired.Add(1) == 2:
			b.ahead.Add(int64(61 * time.Minute))
		case spoilt.Add(1) == 2:
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 1000), bytes.NewReader(make([]byte, 10)), skipping(r.Body, 10)))
		}
		next.ServeHTTP(w, r)
	})
	data := oldData()
	c := b.client("a")
	kept := b.backedUp(c, data)
	b.reads(c.Download(kept), 0, data)
	if n := expired.Load(); n < 7 {
		t.Errorf("%d parts were put: nothing was put again", n)
	}
}

// skipping reads r but for some bytes.
func skipping(r io.Reader, n int64) io.Reader {
	skipped := false
	return readFunc(func(p []byte) (int, error) {
		if !skipped {
			skipped = true
			if _, err := io.CopyN(io.Discard, r, n); err != nil {
				return 0, err
			}
		}
		return r.Read(p)
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestOldLost: whoever dies blocks the backup for as long as the service waits, and what
// he does after that is refused.
func TestOldLost(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	run := b.ask(b.client("a"))
	s := run.client.OneFile(run)
	w, err := s.Create(t.Context(), "shop/1/0000.dbacked")
	b.ok(err)
	b.ok(w.WritePart(t.Context(), 1, 0, []byte("some")))
	next := b.client("b")
	b.ahead.Add(int64(119 * time.Minute))
	if _, err := next.Ask(t.Context()); !errors.Is(err, ErrNotDue) {
		t.Errorf("error %v", err)
	}
	b.ahead.Add(int64(2 * time.Minute))
	other := b.ask(next)
	if err := w.WritePart(t.Context(), 2, 4, []byte("more")); err == nil || !strings.Contains(err.Error(), "over") {
		t.Errorf("error %v", err)
	}
	b.ok(w.Abort(t.Context()))
	_ = run.End(errors.New("too slow"))
	b.state(run.ID, records.StateFailed)
	b.state(other.ID, records.StateOpen)
}

// TestOldRefuses is what cannot be stored in one file.
func TestOldRefuses(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	c := b.client("a")
	run := b.ask(c)
	s := c.OneFile(run)
	if err := s.Put(t.Context(), "shop/1/manifest", nil); err == nil || !strings.Contains(err.Error(), "not stored") {
		t.Errorf("error %v", err)
	}
	w, err := s.Create(t.Context(), "shop/1/0000.dbacked")
	b.ok(err)
	if _, err := s.Create(t.Context(), "shop/1/0001.dbacked"); !errors.Is(err, ErrOneFile) {
		t.Errorf("error %v", err)
	}
	if err := s.Put(t.Context(), "shop/1/notes", nil); !errors.Is(err, ErrOneFile) {
		t.Errorf("error %v", err)
	}
	if _, err := w.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrNoProgress)
	if err := w.WritePart(ctx, 2, 4, []byte("more")); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- w.WritePart(context.WithoutCancel(t.Context()), 2, 4, []byte("more")) }() // before the first
	b.ok(w.Abort(t.Context()))
	if err := <-waiting; !errors.Is(err, errAborted) {
		t.Errorf("error %v", err)
	}
	if err := s.Remove(t.Context(), "shop/1/0000.dbacked"); err != nil {
		t.Errorf("nothing is there, and removing it says %v", err)
	}
	b.ok(run.End(errors.New("pg_dump: no")))
	if got := b.state(run.ID, records.StateFailed); got.Error != "pg_dump: no" {
		t.Errorf("it says %q", got.Error)
	}
}

// TestOldSecrets breaks uploads and downloads for good, and looks for signatures.
func TestOldSecrets(t *testing.T) {
	t.Parallel()
	b := newOldBed(t, inFolder)
	c := b.client("a")
	kept := b.backedUp(c, []byte("some"))
	b.ahead.Add(int64(time.Hour))
	for _, status := range []int{0, http.StatusForbidden, http.StatusFound, http.StatusInternalServerError} {
		b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			switch {
			case !strings.HasPrefix(r.URL.Path, "/files/"):
				next.ServeHTTP(w, r)
			case status == 0:
				panic(http.ErrAbortHandler)
			default:
				w.Header().Set("Location", r.URL.String())
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "<Error>"+r.URL.String()+"</Error>")
			}
		})
		run := b.ask(c)
		upload := b.uploaded(c.OneFile(run), []byte("more"))
		b.ok(run.End(upload))
		_, download := c.Download(kept).Open(t.Context(), 0)
		for _, err := range []error{upload, download} {
			if err == nil || dbtest.Signed(err.Error()) {
				t.Errorf("%d: error %v", status, err)
			}
		}
		if got := b.state(run.ID, records.StateFailed); dbtest.Signed(got.Error) {
			t.Errorf("it was told %q", got.Error)
		}
	}
}
