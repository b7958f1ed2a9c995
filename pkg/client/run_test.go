package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
)

// stored writes a backup of one file, but for its manifest.
func stored(t *testing.T, s *Store, data []byte) error {
	t.Helper()
	w, err := s.Create(t.Context(), "shop/1/0000.dbacked")
	if err != nil {
		return err
	}
	if err = w.WritePart(t.Context(), 1, 0, data); err == nil {
		_, err = w.Commit(t.Context())
	}
	if err != nil {
		return errors.Join(err, w.Abort(t.Context()))
	}
	return nil
}

func (b *bed) state(id, want string) records.Backup {
	b.t.Helper()
	got, err := b.records.Backup(b.t.Context(), b.project.ID, id)
	b.ok(err)
	if got.State != want {
		b.t.Errorf("the backup is %s, not %s", got.State, want)
	}
	return got
}

// lostOnce does what a call asks and drops the answer, the first time that each is
// made.
func lostOnce(calls *atomic.Int32) func(w http.ResponseWriter, r *http.Request, next http.Handler) {
	seen := map[string]bool{}
	turn := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		calls.Add(1)
		turn <- struct{}{}
		call := r.Method + r.URL.Path
		first := !seen[call]
		seen[call] = true
		<-turn
		if !first {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(nowhere{http.Header{}}, r)
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// nowhere is an answer that nobody gets.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header              { return n.header }
func (n nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (n nowhere) WriteHeader(int)                  {}
func (n nowhere) SetReadDeadline(time.Time) error  { return nil }
func (n nowhere) SetWriteDeadline(time.Time) error { return nil }

// TestLostAnswers makes a backup in which the first answer to each call is lost.
func TestLostAnswers(t *testing.T) {
	b := newBed(t, inFolder)
	var calls atomic.Int32
	b.behave(lostOnce(&calls))
	c := b.client("a")
	p, err := c.Project(t.Context())
	b.ok(err)
	if p.ID != b.project.ID || !p.Has("files") {
		t.Errorf("%+v", p)
	}
	run := b.ask(c)
	s := c.Store(run)
	data := bytes.Repeat([]byte("x"), 1<<20)
	w, err := s.Create(t.Context(), "shop/1/0000.dbacked")
	b.ok(err)
	b.ok(storage.Backoff{Tries: 4, First: time.Millisecond}.Retry(t.Context(), func(ctx context.Context) error { return w.WritePart(ctx, 1, 0, data) }))
	_, err = w.Commit(t.Context())
	b.ok(err)
	b.ok(s.Put(t.Context(), "shop/1/manifest", []byte("signed")))
	b.ok(run.End(nil))
	b.state(run.ID, records.StateDone)
	all, err := b.records.Backups(t.Context(), b.project.ID, nil, 10)
	if err != nil || len(all) != 1 {
		t.Errorf("%d backups, %v", len(all), err)
	}
	if n := calls.Load(); n < 12 { // six kinds, each twice
		t.Errorf("only %d calls: this shows nothing", n)
	}
	r, err := c.Reader().Open(t.Context(), "shop/1/0000.dbacked", 5)
	b.ok(err)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data[5:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	b.ok(r.Close())
}

// TestEnd gives a backup back, with what went wrong.
func TestEnd(t *testing.T) {
	b := newBed(t, inFolder)
	c := b.client("a")
	run := b.ask(c)
	b.ok(stored(t, c.Store(run), []byte("some")))
	if _, err := b.client("b").Ask(t.Context()); !errors.Is(err, ErrNotDue) {
		t.Errorf("error %v", err)
	}
	b.ok(run.End(errors.New("pg_dump: no")))
	b.ok(run.End(nil))
	if got := b.state(run.ID, records.StateFailed); got.Error != "pg_dump: no" {
		t.Errorf("it says %q", got.Error)
	}
	if err := stored(t, c.Store(run), []byte("more")); err == nil {
		t.Error("something was stored after the end")
	}
	if err := run.Context().Err(); err == nil {
		t.Error("its context goes on")
	}
	b.ask(b.client("b"))
}

// TestLost lets another agent get the backup of one that slept.
func TestLost(t *testing.T) {
	b := newBed(t, inFolder)
	c := b.client("a")
	run := b.ask(c)
	b.ok(run.Confirm(t.Context()))
	b.ahead.Store(int64(6 * time.Minute))
	other := b.ask(b.client("b"))
	if err := run.Confirm(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("error %v", err)
	}
	if err := stored(t, c.Store(run), []byte("x")); !errors.Is(err, ErrLost) {
		t.Errorf("error %v", err)
	}
	b.ok(run.End(nil))
	b.state(run.ID, records.StateFailed)
	b.state(other.ID, records.StateOpen)
}

// TestOnlyAdds is what an agent's key may: write, and see manifests.
func TestOnlyAdds(t *testing.T) {
	b := newBed(t, inFolder)
	b.project.AgentsRestore = false
	b.ok(b.records.UpdateProject(t.Context(), b.project))
	c := b.client("a")
	run := b.ask(c)
	s := c.Store(run)
	b.ok(stored(t, s, []byte("some")))
	if all, err := s.List(t.Context(), "shop/"); err != nil || len(all) != 1 {
		t.Errorf("while it writes: %v, %v", all, err)
	}
	b.ok(s.Put(t.Context(), "shop/1/manifest", []byte("signed")))
	b.ok(run.End(nil))
	s = c.Reader()
	all, err := s.List(t.Context(), "")
	if err != nil || len(all) != 1 || all[0].Name != "shop/1/manifest" {
		t.Errorf("afterwards: %v, %v", all, err)
	}
	if _, err := s.Open(t.Context(), "shop/1/0000.dbacked", 0); !errors.Is(err, storage.ErrForbidden) {
		t.Errorf("error %v", err)
	}
	if err := s.Remove(t.Context(), "shop/1/manifest"); !errors.Is(err, storage.ErrForbidden) {
		t.Errorf("error %v", err)
	}
	if _, err := s.Create(t.Context(), "x"); !errors.Is(err, ErrNoRun) {
		t.Errorf("error %v", err)
	}
	p, err := c.Project(t.Context())
	if err != nil || len(p.Backups) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestRefused names what is wrong, without secrets.
func TestRefused(t *testing.T) {
	b := newBed(t, inFolder)
	for name, test := range map[string]struct {
		options Options
		says    string
	}{
		"no URL":        {Options{URL: "backups.example.org", Key: "k"}, "DBACKED_API_URL"},
		"a URL with a ": {Options{URL: "https://me:hunter2@example.org", Key: "k"}, "DBACKED_API_URL"},
		"no key":        {Options{URL: b.url}, "DBACKED_APIKEY"},
		"a key of two":  {Options{URL: b.url, Key: "hunter2 x"}, "DBACKED_APIKEY"},
	} {
		if _, err := New(test.options); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.key = "dbk_hunter2"
	if _, err := b.client("a").Project(t.Context()); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	b.behave(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { io.WriteString(w, "<html>welcome") })
	if _, err := b.client("a").Project(t.Context()); !errors.Is(err, ErrNoService) {
		t.Errorf("error %v", err)
	}
	for status, is := range map[int]error{301: ErrNoService, 401: ErrKey, 404: ErrNoService, 501: ErrNoService} {
		b.behave(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Location", "https://elsewhere.example.org/login?token=hunter2")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>welcome")
		})
		if _, err := b.client("a").Project(t.Context()); !errors.Is(err, is) || errors.Is(err, storage.ErrNotFound) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestSignedAddressesStaySecret breaks an upload and a download, and looks for
// signatures in the errors.
func TestSignedAddressesStaySecret(t *testing.T) {
	b := newBed(t, inFolder)
	c := b.client("a")
	run := b.ask(c)
	s := c.Store(run)
	b.ok(stored(t, s, []byte("some")))
	b.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/files/") {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	upload := s.Put(t.Context(), "shop/1/0001", []byte("more"))
	r, err := s.Open(t.Context(), "shop/1/0000.dbacked", 0)
	b.ok(err)
	_, download := io.ReadAll(r)
	for _, err := range []error{upload, download} {
		if err == nil || strings.Contains(err.Error(), "signature") || strings.Contains(err.Error(), "/files/") {
			t.Errorf("error %v", err)
		}
	}
}
