package s3

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a back-off for tests: as often, but sooner.
var quick = storage.Backoff{Tries: 8, First: time.Millisecond, Longest: 20 * time.Millisecond}

func optionsFor(s *dbtest.S3Server, bucket string) Options {
	return Options{
		Bucket: bucket, Prefix: "pre fix/é", Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
		Backoff: quick,
	}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	server := dbtest.S3(t)
	for _, checksum := range []string{SHA256, MD5} {
		t.Run(checksum, func(t *testing.T) {
			var buckets atomic.Int32
			storagetest.Run(t, func(t *testing.T) storage.Store {
				bucket := fmt.Sprintf("%s-%d", checksum, buckets.Add(1))
				server.Bucket(t, bucket, false)
				proxy := dbtest.NewFaultProxy(t, server.Host, never)
				o := optionsFor(server, bucket)
				o.Checksum, o.Endpoint = checksum, proxy.Endpoint
				return breaking{open(t, o), proxy}
			})
		})
	}
}

func never(*http.Request) dbtest.Fault { return dbtest.Fault{} }

// breaking is a store whose connections a test can break.
type breaking struct {
	*Store
	proxy *dbtest.FaultProxy
}

// BreakRead breaks the connection of the next read half-way, twice.
func (b breaking) BreakRead() {
	left := 2
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if r.Method != http.MethodGet || strings.HasSuffix(r.URL.Path, "/") || left == 0 {
			return dbtest.Fault{}
		}
		left--
		return dbtest.Fault{Name: "cut", CutAnswer: true}
	})
}
