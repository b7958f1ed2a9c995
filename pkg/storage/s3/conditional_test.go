package s3

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

const lease = "db/control/lease"

func TestConditional(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "lease", nil)
	ctx := t.Context()
	if _, _, err := b.Get(ctx, lease); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := b.Replace(ctx, lease, []byte("x"), "none"); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("replace of nothing: %v", err)
	}
	first, err := b.PutNew(ctx, lease, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutNew(ctx, lease, []byte("other")); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second: %v", err)
	}
	data, v, err := b.Get(ctx, lease)
	if err != nil || string(data) != "one" || v.Tag != first.Tag || v.Tag == "" {
		t.Fatalf("%q %+v, want the tag of %+v: %v", data, v, first, err)
	}
	if age := v.Now.Sub(v.Modified); v.Modified.IsZero() || age < 0 || age > time.Minute {
		t.Errorf("written %v, answered %v", v.Modified, v.Now)
	}
	second, err := b.Replace(ctx, lease, []byte("two"), v.Tag)
	if err != nil || second.Tag == v.Tag {
		t.Fatalf("%+v, %v", second, err)
	}
	if _, err := b.Replace(ctx, lease, []byte("three"), v.Tag); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("by an old tag: %v", err)
	}
	if data, _, err = b.Get(ctx, lease); err != nil || string(data) != "two" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := b.Replace(ctx, lease, nil, ""); err == nil {
		t.Error("replaced without a tag")
	}
}

// TestLostAnswers loses the answer to each kind of conditional write after it
// was done: reading back tells that it was.
func TestLostAnswers(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "lost", nil)
	ctx := t.Context()
	b.times(1, isPut, dbtest.Fault{LoseAnswer: true})
	if _, err := b.PutNew(ctx, lease, []byte("one")); err != nil {
		t.Fatal(err)
	}
	_, v, err := b.Get(ctx, lease)
	if err != nil {
		t.Fatal(err)
	}
	b.times(1, isPut, dbtest.Fault{LoseAnswer: true})
	next, err := b.Replace(ctx, lease, []byte("two"), v.Tag)
	if err != nil {
		t.Fatal(err)
	}
	b.times(2, isPut, dbtest.Fault{Status: 409, Code: "ConditionalRequestConflict"})
	if next, err = b.Replace(ctx, lease, []byte("three"), next.Tag); err != nil {
		t.Fatal(err)
	}
	// An answer that is lost, and another's write before it is looked for.
	b.proxy.SetPlan(func(r *http.Request) dbtest.Fault {
		if !isPut(r) {
			return dbtest.Fault{}
		}
		if _, err := b.healthy.Replace(ctx, lease, []byte("another's"), next.Tag); err != nil {
			t.Error(err)
		}
		return dbtest.Fault{LoseAnswer: true}
	})
	if _, err := b.Replace(ctx, lease, []byte("four"), next.Tag); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("over another's: %v", err)
	}
	b.holds(lease, []byte("another's"))
}

func TestRacingReplaces(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "racing", nil)
	v, err := b.PutNew(t.Context(), lease, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = b.Replace(t.Context(), lease, fmt.Appendf(nil, "racer %d", i), v.Tag) })
	}
	all.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, storage.ErrChanged):
			t.Errorf("racer %d: %v", i, err)
		}
	}
	b.holds(lease, fmt.Appendf(nil, "racer %d", winner))
}

// TestServiceWithoutConditions looks before it writes, and offers no lease.
func TestServiceWithoutConditions(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "unconditional", nil)
	conditional := func(r *http.Request) bool { return r.Header.Get("If-None-Match")+r.Header.Get("If-Match") != "" }
	b.times(-1, conditional, dbtest.Fault{Status: 501, Code: "NotImplemented"})
	ctx := t.Context()
	_, err := b.PutNew(ctx, lease, []byte("one"))
	mustHave(t, err, "DBACKED_LOCK=database")
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, err := b.Replace(ctx, lease, []byte("two"), "tag"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if err := b.Put(ctx, "db/1/manifest", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, "db/1/manifest", []byte("two")); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second: %v", err)
	}
	large := pattern(smallestPart + 1)
	if err := b.upload("db/1/0000", large); err != nil {
		t.Fatal(err)
	}
	if err := b.upload("db/1/0000", large[1:]); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second: %v", err)
	}
	b.holds("db/1/0000", large)
	if _, err := b.PutNew(ctx, lease, []byte("one")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a lease, once it is known: %v", err)
	}
	b.clean("db/")
}

// TestConditionsRefusedAtOnce has several writes hear only then that the service has
// no conditions, when all have asked with one.
func TestConditionsRefusedAtOnce(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "at-once", nil)
	conditional := func(r *http.Request) bool { return r.Header.Get("If-None-Match") != "" }
	b.times(-1, conditional, dbtest.Fault{Status: 501, Code: "NotImplemented", Delay: 200 * time.Millisecond})
	large := pattern(smallestPart + 1)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if err := b.Put(t.Context(), fmt.Sprintf("db/%d/manifest", i), []byte("one")); err != nil {
				t.Errorf("a small object: %v", err)
			}
		})
		all.Go(func() {
			if err := b.upload(fmt.Sprintf("db/%d/0000", i), large); err != nil {
				t.Errorf("a large one: %v", err)
			}
		})
	}
	all.Wait()
}

func TestGetIsForSmallObjects(t *testing.T) {
	b := newBed(t, dbtest.S3(t), "small", nil)
	if err := b.Put(t.Context(), "db/large", make([]byte, smallObject+1)); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Get(t.Context(), "db/large")
	mustHave(t, err, "more than 1048576 bytes")
}
