package locker

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := newAgent(t, m, "a"), newAgent(t, m, "b")
		both := All(NewFile(path), a)
		run, release, err := both.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := both.Acquire(t.Context()); !errors.Is(err, ErrHeld) {
			t.Errorf("had twice: %v", err)
		}
		if n := m.count(); n != 1 {
			t.Errorf("%d writes though the file was locked", n)
		}
		refused(t, b)
		a.sleepOver(time.Hour)
		if err := context.Cause(run); !errors.Is(err, ErrLost) {
			t.Errorf("after a sleep: %v", err)
		}
		release()
		release()

		_, free := b.must(t)
		if _, _, err := both.Acquire(t.Context()); !errors.Is(err, ErrHeld) {
			t.Errorf("had though b has the lease: %v", err)
		}
		_, unlock := acquire(t, path) // the file's lock was given back
		free()
		if _, _, err := both.Acquire(t.Context()); !errors.Is(err, ErrHeld) {
			t.Errorf("had though the file is locked: %v", err)
		}
		unlock()
		_, release, err = both.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}

// TestAllLost: the first lock is lost, the second is not.
func TestAllLost(t *testing.T) {
	first, cancel := context.WithCancelCause(t.Context())
	order := ""
	run, release, err := All(given{first, "first ", &order}, given{nil, "second ", &order}).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cancel(ErrLost)
	<-run.Done()
	if err := context.Cause(run); !errors.Is(err, ErrLost) {
		t.Errorf("cause %v", err)
	}
	release()
	if order != "second first " {
		t.Errorf("given back in the order %q", order)
	}
	run, release, err = All().Acquire(first)
	if err != nil || run != first {
		t.Errorf("of none: %v, %v", run, err)
	}
	release()
}

// given is a lock whose context is given.
type given struct {
	run   context.Context // nil: as asked
	name  string
	order *string
}

func (g given) Acquire(ctx context.Context) (context.Context, func(), error) {
	if g.run != nil {
		ctx = g.run
	}
	return ctx, func() { *g.order += g.name }, nil
}
