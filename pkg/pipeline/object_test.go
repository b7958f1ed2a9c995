package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

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
	got    []string              // under the proxy's lock: requests for files, "0001 VERSION from BYTE"
	do     func(r *http.Request) // before a request for a file is forwarded
	plan   dbtest.Plan
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
	s.got = nil
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
	if diff := cmp.Diff(got, s.got); diff != "" {
		s.t.Errorf("requests (-want +got)\n%s", diff)
	}
}

// TestOldFiles are the ways in which a file of a backup is found in an older
// version, and what that costs.
func TestOldFiles(t *testing.T) {
	server := dbtest.S3(t)
	for name, test := range map[string]func(s *shelf){
		"all is well":                testAllWell,
		"others are longer":          testSizeSkip,
		"many others":                testMostTried,
		"none is good":               testNoneGood,
		"a chain":                    testChainOfOld,
		"forbidden":                  testVersionsForbidden,
		"the network":                testNotSettled,
		"broken off":                 testResumedOld,
		"changed between the passes": testChangedMeanwhile,
		"verified":                   testVerifiedOld,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, server)
			s.t = t
			test(s)
		})
	}
}

// header is how many bytes the first pass spares the second.
func (s *shelf) header() string { return fmt.Sprintf("bytes=%d-", 30+(s.key.N.BitLen()+7)/8) }

func testAllWell(s *shelf) {
	s.got = nil
	s.restores()
	s.wants("0000", "0001", "0002", "0000  "+s.header(), "0001", "0002")
}

// testSizeSkip reads no version of another size: neither the newest, nor others.
func testSizeSkip(s *shelf) {
	long := append(s.good(1), "more"...)
	s.remove(1, s.versions(1)[0])
	s.write(1, long) // somebody was there before the agent
	good := s.write(1, s.good(1))
	s.write(1, long[:100])
	s.write(1, long)
	s.got = nil
	s.restores(s.file(1) + " " + good)
	old := "0001 " + good
	s.wants("0000", "0001", "versions", old, "0002", "0000", "0000  "+s.header(), old, "0002")
}

// testMostTried finds the oldest at the first try, under more than are ever read.
func testMostTried(s *shelf) {
	for range mostTried + 5 {
		s.write(0, s.bad(0))
	}
	ids := s.versions(0)
	good := ids[len(ids)-1]
	s.restores(s.file(0) + " " + good)
	if tried := s.tried(0); !slices.Equal(tried, []string{good}) {
		s.t.Errorf("tried %q", tried)
	}
	s.remove(0, good)
	s.got = nil
	s.fails(ErrDiffers, s.file(0))
	if tried := s.tried(0); len(tried) != mostTried || slices.Contains(tried, ids[0]) {
		s.t.Errorf("tried %d: %q", len(tried), tried)
	}
}

// tried are the versions of a file that were read, each once.
func (s *shelf) tried(i int) (ids []string) {
	for _, got := range s.got {
		if f := strings.Fields(got); len(f) > 1 && f[0] == s.m.Files[i].Name[:4] && !strings.HasPrefix(f[1], "bytes") && !slices.Contains(ids, f[1]) {
			ids = append(ids, f[1])
		}
	}
	return ids
}

func testNoneGood(s *shelf) {
	good := s.versions(1)[0]
	s.write(1, s.bad(1))
	s.write(1, s.bad(1))
	s.remove(1, good)
	s.fails(ErrDiffers, s.file(1), "its SHA-256 is")
	s.remove(1, "")
	s.fails(storage.ErrNotFound, s.file(1))
}

// testChainOfOld has several of a chain's files displaced, each in its own way.
func testChainOfOld(s *shelf) {
	var good []string
	for i := range s.m.Files {
		good = append(good, s.file(i)+" "+s.versions(i)[0])
	}
	s.write(1, s.bad(1))
	s.remove(2, "")
	s.restores(good[1], good[2])
	s.write(0, []byte("short"))
	s.remove(0, "")
	s.restores(good...)
	s.write(2, s.good(2)) // mended
	s.restores(good[0], good[1])
}

func testVersionsForbidden(s *shelf) {
	s.write(1, s.bad(1))
	for right, match := range map[string]func(*http.Request) bool{
		"s3:ListBucketVersions": aboutVersions,
		"s3:GetObjectVersion":   func(r *http.Request) bool { return r.URL.Query().Has("versionId") },
	} {
		s.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
			if match(r) {
				return dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
			}
			return dbtest.Fault{}
		})
		s.fails(ErrDiffers, s.file(1), "older versions could not be looked at", right)
	}
}

// testNotSettled: a network that fails is no reason to look for older versions.
func testNotSettled(s *shelf) {
	s.plan = func(r *http.Request) dbtest.Fault {
		if strings.HasSuffix(r.URL.Path, "0001.dbacked") {
			return dbtest.Fault{Reset: true}
		}
		return dbtest.Fault{}
	}
	var plain bytes.Buffer
	_, err := s.brought(&plain)
	if settles(err) || err == nil || plain.Len() > 0 || slices.Contains(s.got, "versions") {
		s.t.Errorf("%d bytes, %q: %v", plain.Len(), s.got, err)
	}
}

// testResumedOld cuts each reading of an older version half-way: it goes on there.
func testResumedOld(s *shelf) {
	s.write(1, s.bad(1))
	good := s.versions(1)[1]
	s.plan = func(r *http.Request) dbtest.Fault {
		if r.URL.Query().Has("versionId") && r.Header.Get("Range") == "" {
			return dbtest.Fault{Name: "cut", CutAnswer: true}
		}
		return dbtest.Fault{}
	}
	s.restores(s.file(1) + " " + good)
	half := fmt.Sprintf("0001 %s bytes=%d-", good, s.m.Files[1].StoredBytes/2)
	if n := s.proxy.Done()["cut"]; n != 2 || !slices.Contains(s.got, half) {
		s.t.Errorf("cut %d times: %q", n, s.got)
	}
}

// testChangedMeanwhile changes a file that was found good before it is read again:
// what was found good is what is restored.
func testChangedMeanwhile(s *shelf) {
	for _, change := range []func(){
		func() { s.write(1, s.bad(1)) },
		func() { s.remove(1, "") },
	} {
		for _, v := range s.versions(1)[1:] { // as at first
			s.remove(1, v)
		}
		good, n := s.versions(1)[0], 0
		s.do = func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "0001.dbacked") {
				if n++; n == 2 {
					change()
				}
			}
		}
		s.restores()
		s.do = nil
		if got := s.got[len(s.got)-2]; got != "0001 "+good {
			s.t.Errorf("read %q", s.got)
		}
		s.remove(1, s.versions(1)[0])
	}
}

// testVerifiedOld: verify says of each file whether it is only in an older version.
func testVerifiedOld(s *shelf) {
	s.write(1, s.bad(1))
	s.remove(2, "")
	for _, opened := range []bool{true, false} {
		v := &Verify{Store: s.bucket}
		if opened {
			v.Key = s.key
		}
		checked, err := v.Run(s.t.Context(), s.m)
		if err != nil || len(checked) != 3 {
			s.t.Fatalf("%+v, %v", checked, err)
		}
		for i, c := range checked {
			if c.Err != nil || c.Opened != opened || (c.Displaced != nil) != (i > 0) {
				s.t.Errorf("%+v", c)
			}
		}
		if d := checked[2].Displaced; d != nil && !d.Newest.Removed {
			s.t.Errorf("%v", d)
		}
	}
}

// TestLeftUploadIsSaid: a run whose file left an upload open beside it is good, and
// its log says so.
func TestLeftUploadIsSaid(t *testing.T) {
	server := dbtest.S3(t)
	s := newShelf(t, server)
	lost := false
	s.plan = func(r *http.Request) dbtest.Fault {
		switch begins := r.Method == http.MethodPost && r.URL.Query().Has("uploads"); {
		case begins && !lost:
			lost = true
			return dbtest.Fault{LoseAnswer: true}
		case r.Method == http.MethodDelete && r.URL.Query().Has("uploadId"):
			return dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
		}
		return dbtest.Fault{}
	}
	core, log := observer.New(zapcore.WarnLevel)
	run := s.backup(dumpOf(noise(6 << 20)))
	run.Store, run.Log, run.Backoff = s.bucket, zap.New(core), storage.Backoff{Tries: 3, First: time.Millisecond}
	m, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := log.FilterMessageSnippet("left open").All()
	if len(said) != 1 || !strings.Contains(fmt.Sprint(said[0].ContextMap()["error"]), m.Files[0].Name) {
		t.Errorf("%v", log.All())
	}
}
