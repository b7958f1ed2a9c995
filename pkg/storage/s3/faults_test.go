package s3

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/bucket"
)

// passing are faults that a call survives if they end.
var passing = []dbtest.Fault{
	{Name: "500", Status: 500, Code: "InternalError"},
	{Name: "502 without a body", Status: 502},
	{Name: "503 slow down", Status: 503, Code: "SlowDown", RetryAfter: "0"},
	{Name: "429", Status: 429},
	{Name: "reset", Reset: true},
	{Name: "deaf", Deaf: true},
	{Name: "stall", Stall: true},
	{Name: "lost answer", LoseAnswer: true},
	{Name: "truncated", Truncate: true},
	{Name: "corrupted", Corrupt: true},
	{Name: "cut answer", CutAnswer: true},
	{Name: "stalled answer", StallAnswer: true},
}

// TestFaultsThatPass does each fault, most of them twice, to each kind of request: all ends as
// if nothing had been.
func TestFaultsThatPass(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "passing", false)
	large, small := pattern(smallestPart+7), pattern(100)
	requests := []struct {
		name  string
		match func(*http.Request) bool
	}{
		{"begin", isBegin}, {"part", isPart}, {"complete", isEnd}, {"put", isPut}, {"list", isList}, {"read", isGet}, {"remove", isDelete},
	}
	for _, fault := range passing {
		for _, request := range requests {
			t.Run(fault.Name+"/"+request.name, func(t *testing.T) {
				t.Parallel()
				b := newBedIn(t, server, "passing", nil)
				times := 2
				if fault.Stall || fault.Deaf || fault.StallAnswer {
					times = 1 // it takes its time
				}
				b.times(times, request.match, fault)
				folder := strings.ReplaceAll(t.Name(), "/", "_") + "/"
				if err := b.upload(folder+"large", large); err != nil {
					t.Fatal(err)
				}
				if err := b.Put(t.Context(), folder+"small", small); err != nil {
					t.Fatal(err)
				}
				list, err := b.List(t.Context(), folder)
				if err != nil || len(list) != 2 || list[0].Size != int64(len(large)) {
					t.Fatalf("listed: %+v, %v", list, err)
				}
				if got, err := b.read(b.Store, folder+"large"); err != nil || !bytes.Equal(got, large) {
					t.Fatalf("read %d bytes, want %d: %v", len(got), len(large), err)
				}
				if err := errors.Join(b.Remove(t.Context(), folder+"large"), b.Remove(t.Context(), folder+"small")); err != nil {
					t.Fatal(err)
				}
				if list, err = b.List(t.Context(), folder); err != nil || len(list) != 0 {
					t.Errorf("left: %v, %v", list, err)
				}
				b.clean(folder)
				if b.proxy.Done()[fault.Name] == 0 {
					t.Error("the fault never came")
				}
			})
		}
	}
}

// TestFaultsThatStay does each fault to each request of a kind: an upload fails
// and says why, shows nothing, and leaves nothing once the service is back.
func TestFaultsThatStay(t *testing.T) {
	server := dbtest.S3(t)
	server.Bucket(t, "staying", false)
	large := pattern(smallestPart + 7)
	for _, fault := range append(passing, dbtest.Fault{Name: "403", Status: 403, Code: "AccessDenied"}) {
		if fault.CutAnswer || fault.StallAnswer {
			continue // these have no body to cut in some answers, and so pass
		}
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			b := newBedIn(t, server, "staying", func(o *Options) { o.Backoff.Tries = 2 })
			folder := strings.ReplaceAll(t.Name(), "/", "_") + "/"
			for _, request := range []struct {
				name  string
				match func(*http.Request) bool
			}{{"begin", isBegin}, {"part", isPart}, {"complete", isEnd}} {
				if request.name == "begin" && (fault.Truncate || fault.Corrupt) {
					continue // it has no body
				}
				name := folder + request.name
				b.times(-1, request.match, fault)
				err := b.upload(name, large)
				if request.name == "complete" && fault.LoseAnswer {
					if err != nil { // it was done, and a look told so
						t.Errorf("complete: %v", err)
					}
					b.holds(name, large)
					continue
				}
				mustHave(t, err, "s3://staying/pre fix/é/"+name)
				if errors.Is(err, storage.ErrExists) {
					t.Errorf("%s: %v", request.name, err)
				}
				b.holds(name, nil)
			}
			b.clean(folder)
		})
	}
}

// TestForbiddenIsFinal sees one request, and words that help.
func TestForbiddenIsFinal(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "forbidden", nil)
	ctx := t.Context()
	denied := dbtest.Fault{Name: "denied", Status: 403, Code: "AccessDenied"}
	if err := b.Put(ctx, "db/there", nil); err != nil {
		t.Fatal(err)
	}
	w, err := b.Create(ctx, "db/o")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		match func(*http.Request) bool
		call  func() error
		words []string
	}{
		{isPut, func() error { return b.Put(ctx, "db/x", nil) }, []string{"write s3://forbidden/", "403 AccessDenied", "s3:PutObject"}},
		{isList, func() error { _, err := b.List(ctx, "db/"); return err }, []string{"s3:ListBucket "}},
		{isGet, func() error { _, err := b.Open(ctx, "db/there", 0); return err }, []string{"read s3://forbidden/pre fix/é/db/there", "s3:GetObject "}},
		{isDelete, func() error { return b.Remove(ctx, "db/x") }, []string{"s3:DeleteObject "}},
		{isBegin, func() error { return w.WritePart(ctx, 1, 0, pattern(smallestPart)) }, []string{"begin the upload", "s3:PutObject"}},
		{isAny, func() error { _, err := b.RemoveUnfinished(ctx, "db/"); return err }, []string{"s3:ListBucketMultipartUploads"}},
	} {
		before := b.proxy.Done()["denied"]
		b.times(-1, c.match, denied)
		err := c.call()
		mustHave(t, err, c.words...)
		if !errors.Is(err, storage.ErrForbidden) {
			t.Errorf("%v is not ErrForbidden", err)
		}
		if n := b.proxy.Done()["denied"] - before; n != 1 || bucket.Temporary(err) {
			t.Errorf("%v: asked %d times", err, n)
		}
	}
}

// TestRetryAfter waits no less than the service asks for.
func TestRetryAfter(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "later", nil)
	b.times(1, isPart, dbtest.Fault{Status: 503, Code: "SlowDown", RetryAfter: "7"})
	w, err := b.Create(t.Context(), "db/o")
	if err != nil {
		t.Fatal(err)
	}
	err = w.WritePart(t.Context(), 1, 0, pattern(smallestPart))
	var e *storage.TemporaryError
	if !errors.As(err, &e) || e.After.Seconds() != 7 {
		t.Errorf("%v: after %v", err, e)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	b.clean("")
}

// TestServiceThatIsGone names the address, and ends.
func TestServiceThatIsGone(t *testing.T) {
	s := open(t, Options{Bucket: "gone", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "b", Backoff: storage.Backoff{Tries: 2, First: 1}})
	_, err := s.List(t.Context(), "")
	mustHave(t, err, "list s3://gone", "connection refused", "DBACKED_S3_ENDPOINT", "tried 2 times")
}
