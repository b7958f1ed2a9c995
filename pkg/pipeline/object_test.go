package pipeline

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

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
	s.from(nil, nil)
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
	s.from(nil, nil)
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
	s.from(nil, nil)
	s.fails(ErrDiffers, s.file(0))
	if tried := s.tried(0); len(tried) != mostTried || slices.Contains(tried, ids[0]) {
		s.t.Errorf("tried %d: %q", len(tried), tried)
	}
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
	s.from(nil, func(r *http.Request) dbtest.Fault {
		if strings.HasSuffix(r.URL.Path, "0001.dbacked") {
			return dbtest.Fault{Reset: true}
		}
		return dbtest.Fault{}
	})
	var plain bytes.Buffer
	_, err := s.brought(&plain)
	if settles(err) || err == nil || plain.Len() > 0 || slices.Contains(s.requests(), "versions") {
		s.t.Errorf("%d bytes, %q: %v", plain.Len(), s.requests(), err)
	}
}

// testResumedOld cuts each reading of an older version half-way: it goes on there.
func testResumedOld(s *shelf) {
	s.write(1, s.bad(1))
	good := s.versions(1)[1]
	s.from(nil, func(r *http.Request) dbtest.Fault {
		if r.URL.Query().Has("versionId") && r.Header.Get("Range") == "" {
			return dbtest.Fault{Name: "cut", CutAnswer: true}
		}
		return dbtest.Fault{}
	})
	s.restores(s.file(1) + " " + good)
	half := fmt.Sprintf("0001 %s bytes=%d-", good, s.m.Files[1].StoredBytes/2)
	if n := s.proxy.Done()["cut"]; n != 2 || !slices.Contains(s.requests(), half) {
		s.t.Errorf("cut %d times: %q", n, s.requests())
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
		s.from(func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "0001.dbacked") {
				if n++; n == 2 {
					change()
				}
			}
		}, nil)
		s.restores()
		if all := s.requests(); all[len(all)-2] != "0001 "+good {
			s.t.Errorf("read %q", all)
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
	s.from(nil, func(r *http.Request) dbtest.Fault {
		switch begins := r.Method == http.MethodPost && r.URL.Query().Has("uploads"); {
		case begins && !lost:
			lost = true
			return dbtest.Fault{LoseAnswer: true}
		case r.Method == http.MethodDelete && r.URL.Query().Has("uploadId"):
			return dbtest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
		}
		return dbtest.Fault{}
	})
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
