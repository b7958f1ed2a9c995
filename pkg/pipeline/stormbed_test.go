package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/s3"
)

const (
	stormBucket = "storms"
	// stormTerm makes a lease that a run could not give back end soon; a fifteenth
	// of it is what one call may take, and more than stormStall.
	stormTerm  = 12 * time.Second
	stormStall = 400 * time.Millisecond
	// stormLimit is what a run may take: one that takes longer hangs.
	stormLimit = 2 * time.Minute
)

// storm is an instance of its own, and one run of it through bad weather.
type storm struct {
	*bed
	server    *dbtest.S3Server
	proxy     *dbtest.FaultProxy
	seed      uint64
	instance  string
	size      int64
	policy    bool   // the run may only write
	jobs      int    // streams at once, of a dump that is split; 0: it is not
	earlier   string // the backup that the instance has already, if it has one
	options   s3.Options
	stormy    *s3.Store // through the weather
	healthy   *s3.Store // past it
	trust     catalog.Trust
	complains *observer.ObservedLogs
}

// newStorm makes the run that a seed stands for.
func newStorm(t *testing.T, server *dbtest.S3Server, shared *bed, trust catalog.Trust, seed uint64) *storm {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	own := *shared
	own.t = t
	s := &storm{
		bed: &own, server: server, seed: seed, instance: fmt.Sprintf("storm-%03d", seed), trust: trust, policy: seed%4 == 1,
		size: int64(100e3 * math.Pow(200, random.Float64())), // 0.1 to 20 MB
	}
	if seed%2 == 0 {
		s.size = 6e6 + random.Int64N(6e6) // of some parts
	}
	if seed%3 == 2 {
		s.jobs = 1 + random.IntN(4)
	}
	calm := func(*http.Request) dbtest.Fault { return dbtest.Fault{} }
	s.proxy = dbtest.NewFaultProxy(t, server.Host, calm)
	s.options = s3.Options{
		Bucket: stormBucket, Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, PathStyle: s3.PathAlways,
		MaxParts: []int{0, 1, 2}[random.IntN(3)], Checksum: []string{s3.SHA256, s3.SHA256, s3.MD5}[random.IntN(3)],
		OrphanAge: time.Millisecond,
		Backoff:   storage.Backoff{Tries: 4 + random.IntN(5), First: time.Millisecond, Longest: 50 * time.Millisecond},
	}
	s.healthy = s.open(s.options)
	o := s.options
	o.Endpoint, o.Stall, o.OrphanAge = s.proxy.Endpoint, stormStall, 0
	s.stormy = s.open(o)
	return s
}

func (s *storm) open(o s3.Options) *s3.Store {
	s.t.Helper()
	store, err := s3.Open(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	return store
}

// begin lets the weather loose. Half of the instances whose agent may only write
// have a backup already, which is to stay.
func (s *storm) begin(ctx context.Context) {
	s.t.Helper()
	plan := weather(s.seed)
	if s.policy {
		plan = dbtest.NewPolicy(s.t, "../../packaging/examples/s3-write-only-policy.json", "BUCKET", stormBucket, "PREFIX/NAME", s.instance).Enforce(plan)
	}
	if s.seed%8 == 1 {
		size := s.size
		s.size = 1000
		m, err := s.run(ctx, s.healthy, time.Millisecond)
		if err != nil {
			s.t.Fatal(err)
		}
		s.size, s.earlier = size, m.ID
	}
	s.proxy.SetPlan(plan)
}

// run makes a backup in a store, with a lease as cmd wires it.
func (s *storm) run(ctx context.Context, store *s3.Store, orphanAge time.Duration) (*catalog.Manifest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stormLimit, errHangs)
	defer cancel()
	core, complains := observer.New(zapcore.WarnLevel)
	s.complains = complains
	lease := locker.NewLease(leaseStore{store}, storage.ErrNotFound, s.instance+"/control/lease", locker.LeaseOptions{Term: stormTerm})
	b := s.backup()
	b.Plan = func(context.Context, *catalog.Manifest) (plan Plan, err error) {
		for _, d := range s.dumps() {
			plan.Streams = append(plan.Streams, Stream{Kind: d.kind, Dump: func(_ context.Context, w io.Writer) error {
				_, err := io.Copy(w, d.open())
				return err
			}})
		}
		plan.Jobs = s.jobs
		return plan, nil
	}
	b.Store, b.Locker, b.Lease, b.Instance, b.OrphanAge = store, lease, lease, s.instance, orphanAge
	b.Backoff, b.StallTimeout, b.UploadBudget, b.Log = s.options.Backoff, 10*time.Second, 30<<20, zap.New(core)
	if s.seed%4 != 0 { // the others use the default
		b.Compression = compress.Spec{Algorithm: compress.None}
	}
	return b.Run(ctx)
}

// stormDump is one dump: always the same bytes.
type stormDump struct {
	kind string
	open func() io.Reader
}

// dumps are what is dumped, in one stream after the globals or in several. The
// data do not compress.
func (s *storm) dumps() []stormDump {
	text := func(kind, text string) stormDump {
		return stormDump{kind, func() io.Reader { return strings.NewReader(text) }}
	}
	data := func(kind string, i, of int64) stormDump {
		return stormDump{kind, func() io.Reader {
			return io.LimitReader(rand.NewChaCha8([32]byte{byte(s.seed), 1, byte(i)}), s.size/of)
		}}
	}
	globals := text(catalog.KindGlobals, "CREATE ROLE x;\n")
	if s.jobs == 0 {
		return []stormDump{globals, data(catalog.KindDump, 0, 1)}
	}
	all := []stormDump{globals, text(catalog.KindSchema, "CREATE TABLE x ();\n"), text(catalog.KindContents, "{}")}
	for i := range int64(2 + s.seed%5) {
		all = append(all, data(catalog.KindData, i, 1+i))
	}
	return all
}

// equal tells whether a backup restores to what was dumped.
func (s *storm) equal(ctx context.Context, store *s3.Store, m *catalog.Manifest) error {
	files := slices.DeleteFunc(slices.Clone(m.Files), func(f catalog.File) bool { return f.Continues })
	dumps := s.dumps()
	if len(files) != len(dumps) {
		return fmt.Errorf("%w: it has %d dumps", errNotEqual, len(files))
	}
	for i, want := range dumps {
		got, expected := sha256.New(), sha256.New()
		if _, err := io.Copy(expected, want.open()); err != nil {
			return err
		}
		r := &Restore{File: SealedFile(store, m, files[i]), Key: s.key, Proved: true, Target: hashed(got)}
		if err := r.Run(ctx); err != nil {
			return err
		}
		if files[i].Kind != want.kind || !bytes.Equal(got.Sum(nil), expected.Sum(nil)) {
			return fmt.Errorf("%w: %s", errNotEqual, files[i].Name)
		}
	}
	return nil
}

func hashed(h hash.Hash) func(context.Context, io.Reader) error {
	return func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(h, r)
		return err
	}
}

// there is what the bucket holds of the instance, but for the lease and the
// earlier backup: objects, and uploads that are open, each by its key.
func (s *storm) there(t testing.TB) (objects, uploads []string) {
	t.Helper()
	client, prefix := s.server.Client(t).Client, s.instance+"/"
	for o := range client.ListObjects(context.Background(), stormBucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if !strings.HasPrefix(o.Key, prefix+"control/") && (s.earlier == "" || !strings.HasPrefix(o.Key, prefix+s.earlier)) {
			objects = append(objects, o.Key)
		}
	}
	for u := range client.ListIncompleteUploads(context.Background(), stormBucket, prefix, true) {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		uploads = append(uploads, u.Key)
	}
	return objects, uploads
}

// backups lists the instance's, without the earlier one, which must be as it was.
func (s *storm) backups(ctx context.Context) []catalog.Entry {
	s.t.Helper()
	all, err := catalog.List(ctx, s.healthy, s.instance, s.trust)
	if err != nil {
		s.t.Error(err)
	}
	i := slices.IndexFunc(all, func(e catalog.Entry) bool { return e.ID == s.earlier })
	switch {
	case s.earlier == "":
		return all
	case i < 0:
		s.t.Errorf("the earlier backup %s is gone", s.earlier)
		return all
	}
	if err := errors.Join(all[i].Proof, s.verify(ctx, all[i].Manifest)); err != nil {
		s.t.Errorf("the earlier backup %s is not what it was: %v", s.earlier, err)
	}
	return slices.Delete(all, i, i+1)
}

// leaseStore is a store as the lease knows it.
type leaseStore struct{ storage.Conditional }

func (s leaseStore) Get(ctx context.Context, name string) ([]byte, locker.Version, error) {
	data, v, err := s.Conditional.Get(ctx, name)
	return data, locker.Version(v), err
}

func (s leaseStore) PutNew(ctx context.Context, name string, data []byte) (locker.Version, error) {
	v, err := s.Conditional.PutNew(ctx, name, data)
	return locker.Version(v), err
}

func (s leaseStore) Replace(ctx context.Context, name string, data []byte, tag string) (locker.Version, error) {
	v, err := s.Conditional.Replace(ctx, name, data, tag)
	return locker.Version(v), err
}

// verify reads a backup back, with the key.
func (s *storm) verify(ctx context.Context, m *catalog.Manifest) error {
	checked, err := (&Verify{Store: s.healthy, Key: s.key}).Run(ctx, m)
	for _, c := range checked {
		if err == nil && c.Err != nil {
			err = c.Err
		}
	}
	if err == nil && (len(checked) != len(m.Files) || !checked[0].Opened) {
		err = fmt.Errorf("%d of %d files were checked", len(checked), len(m.Files))
	}
	return err
}
