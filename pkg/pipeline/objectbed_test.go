package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/s3"
)

// shelf is a backup of one dump in a chain of three files, in a bucket that keeps
// versions, behind a proxy, and somebody who may write there.
type shelf struct {
	*bed
	m     *catalog.Manifest
	plain []byte

	bucket *s3.Store
	name   string
	core   *minio.Core
	proxy  *dbtest.FaultProxy

	mu   sync.Mutex
	got  []string              // requests for files, "0001 VERSION bytes=BYTE-", and "versions"
	do   func(r *http.Request) // before a request for a file is forwarded
	plan dbtest.Plan
}

func newShelf(t *testing.T, server *dbtest.S3Server) *shelf {
	t.Helper()
	s := &shelf{bed: newTightBed(t), name: fmt.Sprintf("shelf-%d", time.Now().UnixNano()), core: server.Client(t)}
	s.plain = s.stored(2*segment + part)
	m, err := s.uncompressed(dumpOf(s.plain))
	if err != nil || len(m.Files) != 3 {
		t.Fatalf("%d files, %v", len(m.Files), err)
	}
	s.m = m
	server.Bucket(t, s.name, true)
	s.proxy = dbtest.NewFaultProxy(t, server.Host, s.seen)
	s.bucket, err = s3.Open(s3.Options{
		Bucket: s.name, Endpoint: s.proxy.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		Backoff: storage.Backoff{Tries: 3, First: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.bucket.Close() })
	for i := range m.Files {
		s.write(i, s.good(i))
	}
	return s
}

// seen notes the requests for files, and does to them what plan says.
func (s *shelf) seen(r *http.Request) dbtest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".dbacked") {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		s.got = append(s.got, strings.TrimSpace(fmt.Sprintf("%.4s %s %s", name, r.URL.Query().Get("versionId"), r.Header.Get("Range"))))
		if s.do != nil {
			s.do(r)
		}
	}
	if aboutVersions(r) {
		s.got = append(s.got, "versions")
	}
	if s.plan != nil {
		return s.plan(r)
	}
	return dbtest.Fault{}
}

// from resets what was noted: from here on these things are done to requests, and requests are noted.
func (s *shelf) from(do func(r *http.Request), plan dbtest.Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.do, s.plan = nil, do, plan
}

func (s *shelf) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func aboutVersions(r *http.Request) bool { return r.URL.Query().Has("versions") }

func (s *shelf) file(i int) string { return catalog.Path("shop", s.m.ID, s.m.Files[i].Name) }

func (s *shelf) good(i int) []byte {
	s.t.Helper()
	r, err := s.store.Open(s.t.Context(), s.file(i), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	var data bytes.Buffer
	data.ReadFrom(r)
	return data.Bytes()
}

// bad is as long as the good one, and another.
func (s *shelf) bad(i int) []byte {
	data := s.good(i)
	data[len(data)/2] ^= 1
	return data
}

func (s *shelf) write(i int, data []byte) (version string) {
	s.t.Helper()
	info, err := s.core.PutObject(context.Background(), s.name, s.file(i), bytes.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return info.VersionID
}

func (s *shelf) remove(i int, version string) {
	s.t.Helper()
	if err := s.core.Client.RemoveObject(context.Background(), s.name, s.file(i), minio.RemoveObjectOptions{VersionID: version}); err != nil {
		s.t.Fatal(err)
	}
}

// versions of a file, the newest first, past the notes.
func (s *shelf) versions(i int) (ids []string) {
	s.t.Helper()
	all, err := s.bucket.Versions(s.t.Context(), s.file(i))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, v := range all {
		ids = append(ids, v.ID)
	}
	s.from(nil, nil)
	return ids
}

// brought is a restore; it returns which files it said were displaced.
func (s *shelf) brought(target *bytes.Buffer) (displaced []string, err error) {
	run := s.restore(s.m, into(target))
	run.File = SealedFile(s.bucket, s.m, s.m.Files[0])
	run.Displaced = func(d *storage.Displaced) { displaced = append(displaced, fmt.Sprintf("%s %s", d.Name, d.Good.ID)) }
	return displaced, run.Run(s.t.Context())
}

// restores wants the dump back, and these files read from older versions.
func (s *shelf) restores(want ...string) {
	s.t.Helper()
	var plain bytes.Buffer
	displaced, err := s.brought(&plain)
	if err != nil || !bytes.Equal(plain.Bytes(), s.plain) {
		s.t.Errorf("%d bytes of %d: %v", plain.Len(), len(s.plain), err)
	}
	if diff := cmp.Diff(want, displaced); diff != "" {
		s.t.Error(diff)
	}
}

// fails wants an error of that kind that says these words, and nothing restored.
func (s *shelf) fails(kind error, words ...string) {
	s.t.Helper()
	var plain bytes.Buffer
	displaced, err := s.brought(&plain)
	if !errors.Is(err, kind) || plain.Len() > 0 || displaced != nil {
		s.t.Errorf("%d bytes, %q: %v", plain.Len(), displaced, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			s.t.Errorf("%q does not say %q", err, w)
		}
	}
}

func (s *shelf) wants(got ...string) {
	s.t.Helper()
	if diff := cmp.Diff(got, s.requests()); diff != "" {
		s.t.Errorf("requests (-want +got)\n%s", diff)
	}
}

// tried are the versions of a file that were read, each once.
func (s *shelf) tried(i int) (ids []string) {
	for _, got := range s.requests() {
		if f := strings.Fields(got); len(f) > 1 && f[0] == s.m.Files[i].Name[:4] && !strings.HasPrefix(f[1], "bytes") && !slices.Contains(ids, f[1]) {
			ids = append(ids, f[1])
		}
	}
	return ids
}
