package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// TestAbortEndsParts aborts while two parts are on their way, with a context
// that has ended, as after a signal.
func TestAbortEndsParts(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "aborting", nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := b.Create(ctx, "db/o")
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(smallestPart)
	if err := w.WritePart(ctx, 1, 0, data); err != nil {
		t.Fatal(err)
	}
	b.times(-1, isPart, dbtest.Fault{Name: "deaf", Deaf: true})
	errs := make(chan error, 2)
	for number := 2; number <= 3; number++ {
		go func() { errs <- w.WritePart(context.Background(), number, int64(number-1)*smallestPart, data) }()
	}
	for b.proxy.Done()["deaf"] < 2 {
		<-time.After(time.Millisecond)
	}
	cancel(errors.New("stopped"))
	if err := w.Abort(ctx); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-errs; !errors.Is(err, errAborted) && !bucket.Temporary(err) {
			t.Errorf("a part: %v", err)
		}
	}
	if err := w.WritePart(t.Context(), 4, 0, data); !errors.Is(err, errAborted) {
		t.Errorf("a part after the end: %v", err)
	}
	b.holds("db/o", nil)
	b.clean("")
}

// TestLostIDs loses the answers that hold the ids of uploads: they are found
// and removed, at the commit and at the abort.
func TestLostIDs(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "strays", nil)
	data := pattern(smallestPart + 1)
	b.times(3, isBegin, dbtest.Fault{Name: "lost", LoseAnswer: true})
	if err := b.upload("db/committed", data); err != nil {
		t.Fatal(err)
	}
	b.clean("")
	b.times(-1, isBegin, dbtest.Fault{Name: "lost", LoseAnswer: true})
	mustHave(t, b.upload("db/aborted", data), "begin the upload")
	b.clean("")
	if n := b.proxy.Done()["lost"]; n != 3+8 {
		t.Errorf("%d answers were lost", n)
	}
}

// TestLeftUploads: a surplus upload that may not be found, or not be ended, does
// not make a failure of what is stored, and is not kept quiet.
func TestLeftUploads(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "surplus", nil)
	data := pattern(smallestPart + 1)
	for right, match := range map[string]func(*http.Request) bool{
		"s3:ListBucketMultipartUploads": func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploads") },
		"s3:AbortMultipartUpload":       isDelete,
	} {
		name, lost := "db/"+strings.TrimPrefix(right, "s3:"), false
		b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
			switch {
			case isBegin(r) && !lost:
				lost = true
				return dbtest.Fault{LoseAnswer: true}
			case match(r):
				return dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
			}
			return dbtest.Fault{}
		})
		if err := b.upload(name, data); err != nil {
			t.Fatal(err)
		}
		b.proxy.SetPlan(never)
		b.holds(name, data)
		left := b.Left()
		if len(left) != 1 || !errors.Is(left[0], storage.ErrForbidden) {
			t.Fatalf("it says %v", left)
		}
		mustHave(t, left[0], name, "an upload beside it is open yet", right)
		if again := b.Left(); again != nil || len(b.left(name)) != 1 {
			t.Errorf("it says again %v; left open: %q", again, b.left(name))
		}
	}
	if err := b.upload("db/well", data); err != nil || b.Left() != nil {
		t.Errorf("where all is well: %v", err)
	}
}

// TestLateCommit loses the answers to every Complete and to every look that
// follows: nobody knows whether the object is there. Abort takes it back.
func TestLateCommit(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "late", func(o *Options) { o.Backoff.Tries = 3 })
	w, err := b.Create(t.Context(), "db/o")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePart(t.Context(), 1, 0, pattern(smallestPart)); err != nil {
		t.Fatal(err)
	}
	b.times(-1, isAny, dbtest.Fault{Name: "lost", LoseAnswer: true})
	if _, err := w.Commit(t.Context()); !bucket.Temporary(err) {
		t.Fatalf("%v", err)
	}
	b.proxy.SetPlan(never)
	if list, err := b.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Fatalf("the fault missed its aim: %v, %v", list, err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.holds("db/o", nil)
	b.clean("")
}

func TestRemoveUnfinished(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "unfinished", nil)
	ctx := t.Context()
	for _, name := range []string{"db/1/a", "db/1/b", "db/2/a", "db2/1/a"} {
		w, err := b.Create(ctx, name)
		if err == nil {
			err = w.WritePart(ctx, 1, 0, pattern(smallestPart))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remove := func(prefix string, age time.Duration, want ...string) {
		t.Helper()
		names, err := b.RemoveAbandoned(ctx, prefix, age)
		if diff := cmp.Diff(want, names); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	}
	for _, prefix := range []string{"", "db", "db/1"} {
		_, err := b.RemoveAbandoned(ctx, prefix, 0)
		mustHave(t, err, "slash")
	}
	if names, err := b.RemoveUnfinished(ctx, "db/"); err != nil || names != nil {
		t.Errorf("young ones: %q, %v", names, err)
	}
	remove("db/", time.Hour)
	remove("db/1/", 0, "db/1/a", "db/1/b")
	b.times(1, isDelete, dbtest.Fault{Status: 403, Code: "AccessDenied"})
	_, err := b.RemoveAbandoned(ctx, "db/", 0)
	mustHave(t, err, "db/2/a", "s3:AbortMultipartUpload")
	remove("db/", 0, "db/2/a")
	if left := b.left(""); len(left) != 1 || !strings.HasSuffix(left[0], "db2/1/a") {
		t.Errorf("left: %q", left)
	}
}

// TestWriteOnly writes under a policy that lets it read and remove no data, and
// has the same success when answers are lost.
func TestWriteOnly(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "writeonly", nil)
	data := pattern(smallestPart + 1)
	lose := true
	policy := b.writeOnly()
	b.proxy.SetPlan(policy.Enforce(never))
	for _, name := range []string{"db/1/0000", "db/2/0000"} {
		if err := b.upload(name, data); err != nil {
			t.Fatal(err)
		}
		if err := b.upload(name+".small", data[:10]); err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), name[:5]+"manifest", data[:20]); err != nil {
			t.Fatal(err)
		}
		b.holds(name, data)
		b.proxy.SetPlan(policy.Enforce(func(*http.Request) dbtest.Fault {
			lose = !lose
			return dbtest.Fault{Name: "lost", LoseAnswer: lose}
		}))
	}
	b.proxy.SetPlan(policy.Enforce(never))
	_, err := b.Open(t.Context(), "db/1/0000", 0)
	mustHave(t, err, "403", "s3:GetObject")
	mustHave(t, b.Remove(t.Context(), "db/1/0000"), "403", "s3:DeleteObject")
	if err := b.upload("db/1/0000", data[1:]); !errors.Is(err, storage.ErrExists) {
		t.Errorf("over another: %v", err)
	}
	b.holds("db/1/0000", data)
	b.clean("")
}

// TestAbortOfAHole leaves alone what others wrote.
func TestAbortOfAHole(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "hole", nil)
	if err := b.Put(t.Context(), "db/o", nil); err != nil {
		t.Fatal(err)
	}
	w, err := b.Create(t.Context(), "db/o")
	if err == nil {
		err = w.WritePart(t.Context(), 2, smallestPart, pattern(smallestPart))
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Commit(t.Context())
	mustHave(t, err, "part 1, from byte 0 on, is missing")
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	b.holds("db/o", []byte{})
	b.clean("")
}

func TestWhatIsControl(t *testing.T) {
	for name, want := range map[string]bool{
		"db/control/lease": true, "db/control/a/b": true, "control/1/0000": false, "control/control/lease": true,
		"db/1/control/x": false, "db/control": false, "db/controls/x": false,
	} {
		if control(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// TestAgesNeedAClock removes nothing by age where the service tells no time.
func TestAgesNeedAClock(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		_, _ = io.WriteString(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
	}))
	t.Cleanup(service.Close)
	s := open(t, Options{Bucket: "timeless", Endpoint: service.URL, AccessKey: "a", SecretKey: "b", Backoff: quick})
	_, err := s.RemoveUnfinished(t.Context(), "db/")
	mustHave(t, err, "what time it is")
}
