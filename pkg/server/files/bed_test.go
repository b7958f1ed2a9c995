package files

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const valid = time.Hour

var secret = []byte("a secret of more than 16 bytes")

// bed is a store, and where it is reached.
type bed struct {
	Store
	t     *testing.T
	base  string
	ahead atomic.Int64 // of the folder's clock
	dir   string
}

// onEach runs a test on a folder and on a bucket.
func onEach(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Run("folder", func(t *testing.T) { test(t, newFolder(t, FolderOptions{})) })
	t.Run("bucket", func(t *testing.T) { test(t, newBucket(t)) })
}

func newFolder(t *testing.T, o FolderOptions) *bed {
	t.Helper()
	b := &bed{t: t, dir: filepath.Join(t.TempDir(), "files")}
	o.Now = func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }
	f, err := OpenFolder(b.dir, secret, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	b.Store, b.base = f, s.URL
	return b
}

func newBucket(t *testing.T) *bed {
	t.Helper()
	s := dbtest.S3(t)
	s.Bucket(t, "backups", false)
	f, err := OpenBucket(BucketOptions{Bucket: "backups", Prefix: "some/prefix", Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	return &bed{Store: f, t: t}
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// begin begins a file.
func (b *bed) begin(r Ref) (upload string) {
	b.t.Helper()
	upload, err := b.Begin(b.t.Context(), r)
	b.ok(err)
	return upload
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request, with headers in pairs.
func (b *bed) send(method, url string, body io.Reader, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, url, body)
	b.ok(err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(r)
	b.ok(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	b.ok(err)
	return answer{got.StatusCode, got.Header, text}
}

// address is where a part of that content goes.
func (b *bed) address(r Ref, upload string, number int, data []byte) string {
	b.t.Helper()
	url, err := b.PartURL(b.t.Context(), b.base, r, upload, Part{Number: number, MD5: sum(data), Size: int64(len(data))}, valid)
	b.ok(err)
	return url
}

func sum(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// put uploads a part.
func (b *bed) put(r Ref, upload string, number int, data []byte) Part {
	b.t.Helper()
	got := b.send(http.MethodPut, b.address(r, upload, number, data), bytes.NewReader(data), "Content-MD5", sum(data))
	if got.status != http.StatusOK {
		b.t.Fatalf("part %d: %d %s", number, got.status, got.body)
	}
	return Part{Number: number, MD5: sum(data), Size: int64(len(data)), ETag: got.header.Get("ETag")}
}

func (b *bed) holds(r Ref, want []byte) {
	b.t.Helper()
	url, err := b.DownloadURL(b.t.Context(), b.base, r, valid)
	b.ok(err)
	if got := b.send(http.MethodGet, url, nil); got.status != http.StatusOK || !bytes.Equal(got.body, want) {
		b.t.Fatalf("%d: %d bytes that are not the %d that were stored", got.status, len(got.body), len(want))
	}
}

// pieces are three parts that S3 takes.
func pieces() [][]byte {
	return [][]byte{bytes.Repeat([]byte("ab"), 5<<19), bytes.Repeat([]byte("cd"), 5<<19), []byte("the end")}
}
