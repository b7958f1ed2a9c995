package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dbacked/dbacked/pkg/storage"
)

const racers = 8

func testCancelled(t *testing.T, s storage.Store) {
	store(t, s, "db/there", []byte("there"))
	cause := errors.New("the operator said stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := s.Create(ctx, "db/one")
	ok(t, err)
	r, err := s.Open(ctx, "db/there", 0)
	ok(t, err)
	ok(t, w.WritePart(ctx, 1, 0, []byte("some")))
	cancel(cause)

	_, readErr := r.Read(make([]byte, 1))
	_ = r.Close()
	_, createErr := s.Create(ctx, "db/two")
	_, openErr := s.Open(ctx, "db/there", 0)
	_, listErr := s.List(ctx, "db/")
	partErr := w.WritePart(ctx, 2, 4, []byte("more"))
	_, commitErr := w.Commit(ctx)
	for what, err := range map[string]error{
		"Read": readErr, "Create": createErr, "Open": openErr, "List": listErr, "WritePart": partErr, "Commit": commitErr,
		"Put": s.Put(ctx, "db/three", nil), "Remove": s.Remove(ctx, "db/there"),
	} {
		if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end of its context: %v", what, err)
		}
	}
	ok(t, w.Abort(ctx))
	lists(t, s, "", "db/there")
}

func testRacingCommits(t *testing.T, s storage.Store) { raceCommits(t, s, 0) }

// testRacingParts is testRacingCommits with objects that S3 takes in parts.
func testRacingParts(t *testing.T, s storage.Store) { raceCommits(t, s, partSize) }

func raceCommits(t *testing.T, s storage.Store, size int) {
	writers := make([]storage.Writer, racers)
	padding := make([]byte, size)
	data := func(i int) []byte { return fmt.Appendf(padding[:size:size], "racer %d", i) }
	for i := range writers {
		writers[i] = create(t, s, "db/raced")
		ok(t, writers[i].WritePart(t.Context(), 1, 0, data(i)))
	}
	winner := race(t, func(i int) error {
		_, err := writers[i].Commit(t.Context())
		return err
	})
	for _, w := range writers {
		ok(t, w.Abort(t.Context()))
	}
	holds(t, s, "db/raced", data(winner))
	lists(t, s, "", "db/raced")
}

func testRacingPuts(t *testing.T, s storage.Store) {
	winner := race(t, func(i int) error { return s.Put(t.Context(), "db/raced", fmt.Appendf(nil, "racer %d", i)) })
	holds(t, s, "db/raced", fmt.Appendf(nil, "racer %d", winner))
	lists(t, s, "", "db/raced")
}

// race lets all racers go at once; exactly one must win, the others must say
// that the object is there.
func race(t *testing.T, run func(i int) error) (winner int) {
	t.Helper()
	errs := make([]error, racers)
	together(racers, func(i int) { errs[i] = run(i) })
	winner = -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		default:
			is(t, err, storage.ErrExists)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	return winner
}

func testParallelParts(t *testing.T, s storage.Store) {
	const size = partSize
	data := pattern(3*size + 1)
	w := create(t, s, "db/parallel")
	errs := make([]error, 4)
	together(4, func(i int) {
		errs[i] = w.WritePart(t.Context(), i+1, int64(i*size), data[i*size:min((i+1)*size, len(data))])
	})
	ok(t, errors.Join(errs...))
	commit(t, w, "db/parallel", len(data))
	holds(t, s, "db/parallel", data)
}

// testRacingFolders lets objects come and go in one folder: that one of them
// leaves it empty must not take it away under another.
func testRacingFolders(t *testing.T, s storage.Store) {
	errs := make([]error, racers)
	rounds := 25
	if _, slow := s.(Filler); slow {
		rounds = 2
	}
	together(racers, func(i int) {
		name := fmt.Sprintf("db/shared/%d", i)
		for range rounds {
			errs[i] = errors.Join(errs[i], s.Put(t.Context(), name, []byte(name)), s.Remove(t.Context(), name))
		}
	})
	ok(t, errors.Join(errs...))
	lists(t, s, "")
}

// together runs n functions that all begin at once.
func together(n int, run func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	all.Wait()
}
