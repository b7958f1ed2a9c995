package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
	"github.com/dbacked/dbacked/pkg/storage/storagetest"
	"github.com/dbacked/dbacked/pkg/uploader"
)

// TestTwoFolders and TestFolderAndBucket pass the suite of every store, and look
// that both places hold the same in the end.
func TestTwoFolders(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store { return same(t, folder(t), folder(t)) })
}

func TestFolderAndBucket(t *testing.T) {
	t.Parallel()
	server := dbtest.S3(t)
	var n atomic.Int32
	next := func() string { return fmt.Sprintf("bucket-%d", n.Add(1)) }
	storagetest.Run(t, func(t *testing.T) storage.Store { return same(t, folder(t), bucket(t, server, next())) })
	t.Run("the bucket first", func(t *testing.T) { // Create of a bucket cannot see that a name is taken
		storagetest.Run(t, func(t *testing.T) storage.Store { return same(t, bucket(t, server, next()), folder(t)) })
	})
}

// same joins two stores that must hold the same when the test ends.
func same(t *testing.T, a, b storage.Store) storage.Store {
	t.Helper()
	t.Cleanup(func() {
		left, right := listing(t, a), listing(t, b)
		if left != right {
			t.Errorf("%s holds %s, and %s holds %s", a, left, b, right)
		}
	})
	s := join(a, b)
	t.Cleanup(func() {
		for _, p := range s.Places() {
			if p.Err != nil {
				t.Errorf("%s was left out: %v", p.Name, p.Err)
			}
		}
	})
	return s
}

func listing(t *testing.T, s storage.Store) string {
	t.Helper()
	objects, err := s.List(context.Background(), "")
	if err != nil {
		t.Error(err)
	}
	var text strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&text, "%q (%d) ", o.Name, o.Size)
	}
	return text.String()
}

// TestAPlaceFails breaks one of two places wherever it can break: the other has
// the object, and nothing half-made stays.
func TestAPlaceFails(t *testing.T) {
	third := func(_ context.Context, n int32) error {
		if n == 3 {
			return errBroken
		}
		return nil
	}
	for name, c := range map[string]struct {
		fault *faulty
		says  string
	}{
		"create":        {&faulty{create: breaks}, "broken"},
		"the 3rd part":  {&faulty{part: third}, "broken"},
		"commit":        {&faulty{commit: breaks}, "broken"},
		"a wrong size":  {&faulty{size: -1}, "does not hold what was sent: 16 bytes of db/x were sent and 15 are there"},
		"abort as well": {&faulty{part: third, abort: breaks}, "could not be removed: the disk is broken"},
		"always busy":   {&faulty{part: func(context.Context, int32) error { return &storage.TemporaryError{Err: errBroken} }}, "tried 4 times"},
	} {
		for _, order := range []string{"first", "last"} {
			t.Run(name+" "+order, func(t *testing.T) {
				good, bad := folder(t), folder(t)
				broken := &faulty{Store: bad, create: c.fault.create, part: c.fault.part, commit: c.fault.commit, abort: c.fault.abort, size: c.fault.size}
				s := join(good, broken)
				if order == "first" {
					s = join(broken, good)
				}
				if err := upload(t.Context(), s, "db/x", "one ", "two ", "three ", "so"); err != nil {
					t.Fatal(err)
				}
				s.Settle(t.Context())
				if got := content(t, good, "db/x"); got != "one two three so" {
					t.Errorf("the good place holds %q", got)
				}
				for _, p := range s.Places() {
					if (p.Store == broken) != (p.Err != nil) || p.Err != nil && !strings.Contains(p.Err.Error(), c.says) {
						t.Errorf("%s: %v", p.Name, p.Err)
					}
				}
				if c.fault.size == 0 && c.fault.abort == nil {
					nothing(t, bad)
				}
				// It stays left out, and the other goes on.
				if err := upload(t.Context(), s, "db/y", "more"); err != nil || content(t, good, "db/y") != "more" || content(t, bad, "db/y") != "" {
					t.Errorf("after that: %v", err)
				}
			})
		}
	}
}

// TestAllFail: only when no place is left does the call fail, with every cause,
// and not with one that asks to try again.
func TestAllFail(t *testing.T) {
	a, b := folder(t), folder(t)
	full := errors.New("no space left")
	s := join(&faulty{Store: a, part: func(context.Context, int32) error { return full }},
		&faulty{Store: b, part: func(context.Context, int32) error { return &storage.TemporaryError{Err: errBroken} }})
	err := upload(t.Context(), s, "db/x", "all")
	var temporary *storage.TemporaryError
	if !errors.Is(err, full) || !errors.Is(err, errBroken) || errors.As(err, &temporary) || !strings.Contains(err.Error(), "no place is left") {
		t.Errorf("%v", err)
	}
	s.Settle(t.Context())
	nothing(t, a)
	nothing(t, b)
	if err := s.Put(t.Context(), "db/m", nil); !errors.Is(err, full) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.List(t.Context(), ""); !errors.Is(err, full) {
		t.Errorf("list: %v", err)
	}
}

// TestAway: a place that could not be opened is one that was left out.
func TestAway(t *testing.T) {
	good := folder(t)
	s := New([]Place{{Name: "s3://away", Store: folder(t), Err: errBroken}, {Name: good.String(), Store: good}}, Options{})
	if err := upload(t.Context(), s, "db/x", "all"); err != nil || content(t, good, "db/x") != "all" {
		t.Fatal(err)
	}
	if p := s.Places(); p[0].Err != errBroken || p[0].Store != nil || p[1].Err != nil || s.String() != "s3://away, "+good.String() {
		t.Errorf("%s: %+v", s, p)
	}
}

// TestAFollowerHasTheName: what appears in a later place alone under a name that
// the first gave away is that place's fault, and is not touched.
func TestAFollowerHasTheName(t *testing.T) {
	a, b := folder(t), folder(t)
	s := join(a, b)
	w, err := s.Create(t.Context(), "db/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "db/x", []byte("other")); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePart(t.Context(), 1, 0, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Settle(t.Context())
	if content(t, a, "db/x") != "mine" || content(t, b, "db/x") != "other" || !errors.Is(s.Places()[1].Err, storage.ErrExists) {
		t.Errorf("%+v", s.Places())
	}
}

// TestReadsTheFirstThatAnswers goes on to the next place when one is broken, and
// not when the object is not there.
func TestReadsTheFirstThatAnswers(t *testing.T) {
	a, b := folder(t), folder(t)
	s := join(a, b)
	if err := s.Put(t.Context(), "db/x", []byte("both")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "db/y", []byte("only here")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, s, "db/y"); got != "" {
		t.Errorf("the first place answered: %q", got)
	}
	_ = a.Close()
	if got := content(t, s, "db/x"); got != "both" {
		t.Errorf("%q", got)
	}
	if err := s.Remove(t.Context(), "db/x"); err == nil || content(t, b, "db/x") != "" {
		t.Errorf("removed where it can be, with an error for the other place: %v", err)
	}
}

// TestCancelled: the end of the run is no fault of any place.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	a, b := folder(t), folder(t)
	s := join(a, &faulty{Store: b, part: func(ctx context.Context, _ int32) error {
		cancel(stop)
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	if err := upload(ctx, s, "db/x", "all"); !errors.Is(err, stop) {
		t.Error(err)
	}
	for _, p := range s.Places() {
		if p.Err != nil {
			t.Errorf("%s: %v", p.Name, p.Err)
		}
	}
	nothing(t, a)
	nothing(t, b)
}

// bounded is a store with limits.
type bounded struct {
	storage.Store
	limits storage.Limits
}

func (l bounded) Limits() storage.Limits { return l.limits }

// TestLimits are the strictest ones, none for folders; so the parts of an upload
// take no more memory for several places than for one.
func TestLimits(t *testing.T) {
	a, b := folder(t), folder(t)
	if _, ok := join(a, b).(storage.Limited); ok {
		t.Error("two folders have limits")
	}
	first := bounded{a, storage.Limits{MaxParts: 100, MinPart: 5, MaxPart: 1000}}
	second := bounded{b, storage.Limits{MaxParts: 20, MinPart: 7}}
	s := join(first, second, folder(t))
	if l := s.(storage.Limited).Limits(); l != (storage.Limits{MaxParts: 20, MinPart: 7, MaxPart: 1000}) {
		t.Errorf("%+v", l)
	}
}

// TestMemory compares the buffers that parts are written from: they are the same
// ones in all places, and as many as for one place.
func TestMemory(t *testing.T) {
	seen := map[int]int{}
	for _, n := range []int{1, 2, 3} {
		var stores []storage.Store
		buffers := newBuffers()
		for range n {
			stores = append(stores, counting{folder(t), buffers})
		}
		up, err := uploader.New(join(stores...), uploader.Options{Budget: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := up.Stream().Upload(t.Context(), "db/x", strings.NewReader(strings.Repeat("0123456789abcdef", 2<<20))); err != nil {
			t.Fatal(err)
		}
		seen[n] = buffers.total()
	}
	t.Logf("bytes of buffers, by places: %v", seen)
	for n, bytes := range seen {
		if bytes == 0 || bytes > 4<<20 {
			t.Errorf("%d places: %d bytes of buffers, the budget is %d", n, bytes, 4<<20)
		}
	}
}
