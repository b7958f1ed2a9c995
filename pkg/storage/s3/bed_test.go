package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

// bed is a store behind a network and a service that fail.
type bed struct {
	*Store
	t       *testing.T
	server  *dbtest.S3Server
	proxy   *dbtest.FaultProxy
	healthy *Store // the same bucket, without the proxy
}

// newBed makes a bucket of the server's, and a store that reaches it through a
// proxy; change may be nil.
func newBed(t *testing.T, server *dbtest.S3Server, bucket string, change func(*Options)) *bed {
	t.Helper()
	server.Bucket(t, bucket, false)
	return newBedIn(t, server, bucket, change)
}

func newBedIn(t *testing.T, server *dbtest.S3Server, bucket string, change func(*Options)) *bed {
	t.Helper()
	o := optionsFor(server, bucket)
	if change != nil {
		change(&o)
	}
	b := &bed{t: t, server: server, proxy: dbtest.NewFaultProxy(t, server.Host, never)}
	b.healthy = open(t, o)
	o.Endpoint, o.Stall = b.proxy.Endpoint, 500*time.Millisecond
	b.Store = open(t, o)
	return b
}

// writeOnly is the documented policy of an agent that may only write, for the
// instance db.
func (b *bed) writeOnly() *dbtest.Policy {
	b.t.Helper()
	return dbtest.NewPolicy(b.t, "../../../packaging/examples/s3-write-only-policy.json",
		"BUCKET", b.options.Bucket, "PREFIX/NAME", b.key("db"))
}

// times does f to the first n requests that match.
func (b *bed) times(n int, match func(*http.Request) bool, f dbtest.Fault) {
	if f.Name == "" {
		f.Name = "fault"
	}
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if n == 0 || !match(r) {
			return dbtest.Fault{}
		}
		n--
		return f
	})
}

// Requests by what they do.
func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && !r.URL.Query().Has("partNumber")
}
func isPart(r *http.Request) bool { return r.URL.Query().Has("partNumber") }
func isBegin(r *http.Request) bool {
	return r.URL.Query().Has("uploads") && r.Method == http.MethodPost
}

func isEnd(r *http.Request) bool { return r.URL.Query().Has("uploadId") && r.Method == http.MethodPost }

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(strings.Trim(r.URL.Path, "/"), "/")
}
func isDelete(r *http.Request) bool { return r.Method == http.MethodDelete }
func isList(r *http.Request) bool   { return r.URL.Query().Has("list-type") }
func isAny(*http.Request) bool      { return true }

// upload writes an object as the uploader does: parts that fail for a time are
// written again, and what fails for good is aborted.
func (b *bed) upload(name string, data []byte) error {
	ctx := context.Background()
	w, err := b.Create(ctx, name)
	if err != nil {
		return err
	}
	for number, offset := 1, 0; err == nil && offset < len(data); number, offset = number+1, offset+smallestPart {
		err = b.options.Backoff.Retry(ctx, func(ctx context.Context) error {
			return w.WritePart(ctx, number, int64(offset), data[offset:min(offset+smallestPart, len(data))])
		})
	}
	if err == nil {
		_, err = w.Commit(ctx)
	}
	if err != nil {
		return errors.Join(err, w.Abort(ctx))
	}
	return nil
}

func (b *bed) read(s *Store, name string) ([]byte, error) {
	r, err := s.Open(context.Background(), name, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// holds checks what is there, past the proxy; nil is nothing.
func (b *bed) holds(name string, want []byte) {
	b.t.Helper()
	got, err := b.read(b.healthy, name)
	switch {
	case want == nil && !errors.Is(err, storage.ErrNotFound):
		b.t.Errorf("%s is there: %d bytes, %v", name, len(got), err)
	case want != nil && (err != nil || !bytes.Equal(got, want)):
		b.t.Errorf("%s holds %d bytes, want %d: %v", name, len(got), len(want), err)
	}
}

// clean checks that no upload is left under a prefix, past the proxy.
func (b *bed) clean(prefix string) {
	b.t.Helper()
	if left := b.left(prefix); len(left) > 0 {
		b.t.Errorf("left open: %q", left)
	}
}

func (b *bed) left(prefix string) []string {
	b.t.Helper()
	uploads, _, err := b.healthy.uploads(context.Background(), prefix, func(string) bool { return true })
	if err != nil {
		b.t.Fatal(err)
	}
	var keys []string
	for _, u := range uploads {
		keys = append(keys, u.Key)
	}
	return keys
}

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return data
}

func mustHave(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// lose loses the answers to the first n requests that make an object.
func lose(n int) dbtest.Plan {
	return func(r *http.Request) dbtest.Fault {
		if n == 0 || !isPut(r) && !isEnd(r) {
			return dbtest.Fault{}
		}
		n--
		return dbtest.Fault{Name: "lost", LoseAnswer: true}
	}
}
