package mirror

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/localdir"
	"github.com/dbacked/dbacked/pkg/storage/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("the disk is broken")

// quick is a back-off for tests: as often, but sooner.
var quick = storage.Backoff{Tries: 4, First: time.Millisecond, Longest: 5 * time.Millisecond}

func folder(t testing.TB) *localdir.Store {
	t.Helper()
	s, err := localdir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func bucket(t *testing.T, server *dbtest.S3Server, name string) *s3.Store {
	t.Helper()
	server.Bucket(t, name, false)
	s, err := s3.Open(s3.Options{
		Bucket: name, Prefix: "pre fix", Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, Backoff: quick,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func join(stores ...storage.Store) Mirror { return joinWith(Options{Backoff: quick}, stores...) }

func joinWith(o Options, stores ...storage.Store) Mirror {
	var places []Place
	for _, s := range stores {
		_, watches := s.(*s3.Store)
		places = append(places, Place{Name: s.String(), Store: s, Watches: watches})
	}
	return New(places, o)
}

// faulty is a real store in which one thing goes wrong. Each of its functions is
// told how often it was called, from 1, and may be nil.
type faulty struct {
	storage.Store
	create, commit, abort, put func() error
	part                       func(ctx context.Context, n int32) error
	parts                      atomic.Int32
	size                       int64 // that Commit adds to the truth
}

func (f *faulty) Create(ctx context.Context, name string) (storage.Writer, error) {
	if f.create != nil {
		if err := f.create(); err != nil {
			return nil, err
		}
	}
	w, err := f.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, f}, nil
}

func (f *faulty) Put(ctx context.Context, name string, data []byte) error {
	if f.put != nil {
		if err := f.put(); err != nil {
			return err
		}
	}
	return f.Store.Put(ctx, name, data)
}

type faultyWriter struct {
	storage.Writer
	f *faulty
}

func (w *faultyWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if w.f.part != nil {
		if err := w.f.part(ctx, w.f.parts.Add(1)); err != nil {
			return err
		}
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

func (w *faultyWriter) Commit(ctx context.Context) (storage.Object, error) {
	if w.f.commit != nil {
		if err := w.f.commit(); err != nil {
			return storage.Object{}, err
		}
	}
	o, err := w.Writer.Commit(ctx)
	o.Size += w.f.size
	return o, err
}

func (w *faultyWriter) Abort(ctx context.Context) error {
	if w.f.abort != nil {
		if err := w.f.abort(); err != nil {
			return err
		}
	}
	return w.Writer.Abort(ctx)
}

func breaks() error { return errBroken }

// upload stores an object of parts.
func upload(ctx context.Context, s storage.Store, name string, parts ...string) error {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	offset := int64(0)
	for i, p := range parts {
		if err := w.WritePart(ctx, i+1, offset, []byte(p)); err != nil {
			return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
		}
		offset += int64(len(p))
	}
	if _, err := w.Commit(ctx); err != nil {
		return errors.Join(err, w.Abort(context.WithoutCancel(ctx)))
	}
	return nil
}

func content(t *testing.T, s storage.Store, name string) string {
	t.Helper()
	r, err := s.Open(context.Background(), name, 0)
	if errors.Is(err, storage.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// nothing fails the test if a store holds anything, begun or complete.
func nothing(t *testing.T, s storage.Store) {
	t.Helper()
	objects, err := s.List(context.Background(), "")
	if err != nil || len(objects) > 0 {
		t.Errorf("%s holds %v (%v)", s, objects, err)
	}
	var begun []string
	switch s := s.(type) {
	case storage.Reclaimer:
		begun, err = s.RemoveAbandoned(context.Background(), "db/", 0)
	case storage.Cleaner:
		begun, err = s.RemoveUnfinished(context.Background(), "db/")
	}
	if err != nil || len(begun) > 0 {
		t.Errorf("%s holds unfinished %v (%v)", s, begun, err)
	}
}
