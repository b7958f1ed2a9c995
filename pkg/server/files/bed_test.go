package files

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	secret = bytes.Repeat([]byte("s"), 32)
	one    = Ref{"project-1", "20261122T215643Z-7f3c2a", 1}
)

// bed is a store and how it is reached.
type bed struct {
	Store
	base   string
	client *http.Client
	folder *Folder // or nil
	dir    string
	least  int // bytes of a part that is not the last
}

func client(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func folderBed(t testing.TB, dir string, o FolderOptions) *bed {
	t.Helper()
	f, err := OpenFolder(dir, secret, o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	c := client(t)
	t.Cleanup(func() { server.Close(); f.Close() })
	return &bed{Store: f, base: server.URL, client: c, folder: f, dir: dir, least: 1000}
}

func bucketBed(t testing.TB, server *dbtest.S3Server, name, endpoint string) *bed {
	t.Helper()
	server.Bucket(t, name, false)
	b, err := OpenBucket(BucketOptions{Bucket: name, Prefix: "pre fix/é", Endpoint: endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, Pause: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &bed{Store: b, client: client(t), least: 5 << 20}
}

// both runs a test over a folder and a bucket.
func both(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Run("folder", func(t *testing.T) { test(t, folderBed(t, t.TempDir(), FolderOptions{})) })
	t.Run("bucket", func(t *testing.T) {
		server := dbtest.S3(t)
		test(t, bucketBed(t, server, "files", server.Endpoint))
	})
}

func random(seed uint64, n int) []byte {
	p := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(p)
	return p
}

func sum(p []byte) string {
	h := md5.Sum(p)
	return base64.StdEncoding.EncodeToString(h[:])
}

func (b *bed) begin(t testing.TB, r Ref) string {
	t.Helper()
	upload, err := b.Begin(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return upload
}

func (b *bed) partURL(t testing.TB, r Ref, upload string, p Part) string {
	t.Helper()
	u, err := b.PartURL(t.Context(), b.base, r, upload, p, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answer is one that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (b *bed) do(t testing.TB, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, data}
}

// problem checks a refusal.
func (a answer) is(t testing.TB, b *bed, status int) {
	t.Helper()
	if b.folder == nil { // the service's own words
		if a.status < 400 || a.status >= 500 {
			t.Errorf("answered %d %s", a.status, a.body)
		}
		return
	}
	var p api.Problem
	err := json.Unmarshal(a.body, &p)
	if a.status != status || err != nil || p.Status != status || p.Message == "" || !bytes.Contains(a.body, []byte(`"details":null`)) {
		t.Errorf("answered %d %s, want %d", a.status, a.body, status)
	}
	if strings.Contains(p.Message, "signature=") {
		t.Errorf("%q holds a query", p.Message)
	}
}

// put puts a part and returns it with its ETag.
func (b *bed) put(t testing.TB, r Ref, upload string, number int, data []byte) Part {
	t.Helper()
	p := Part{Number: number, MD5: sum(data), Size: int64(len(data))}
	a := b.do(t, http.MethodPut, b.partURL(t, r, upload, p), bytes.NewReader(data), "Content-MD5", p.MD5)
	p.ETag = a.header.Get("ETag")
	if want := fmt.Sprintf(`"%x"`, md5.Sum(data)); a.status != 200 || p.ETag != want {
		t.Fatalf("part %d: answered %d, ETag %s, %s", number, a.status, p.ETag, a.body)
	}
	return p
}

func (b *bed) get(t testing.TB, r Ref, headers ...string) answer {
	t.Helper()
	u, err := b.DownloadURL(t.Context(), b.base, r, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b.do(t, http.MethodGet, u, nil, headers...)
}

// three puts a file of three parts, out of order.
func (b *bed) three(t testing.TB, r Ref) (upload string, parts []Part, data []byte) {
	t.Helper()
	upload, data, parts = b.begin(t, r), random(1, 2*b.least+77), make([]Part, 3)
	for _, i := range []int{2, 0, 1} {
		parts[i] = b.put(t, r, upload, i+1, data[i*b.least:min((i+1)*b.least, len(data))])
	}
	return upload, parts, data
}

func (b *bed) complete(t testing.TB, r Ref, upload string, parts []Part) Stored {
	t.Helper()
	s, err := b.Complete(context.Background(), r, upload, parts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func md5Of(r io.Reader) string {
	h := md5.New()
	io.Copy(h, r)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
