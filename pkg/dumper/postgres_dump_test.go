package dumper

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

const realPgDump = "/usr/lib/postgresql/15/bin/pg_dump"

// TestPostgresDumpFails causes what may go wrong while a database is dumped: no
// run ends well.
func TestPostgresDumpFails(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	s.SQL(t, "postgres", "CREATE DATABASE shop")
	s.SQL(t, "shop", "CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) t FROM generate_series(1, 20000) i; CREATE TABLE b AS SELECT * FROM a")
	archive := mustDump(t, pgFor(t, s, "shop"))
	for name, test := range map[string]struct {
		body  string
		is    error
		words []string
	}{
		"killed":     {"REAL \"$@\" | head -c 100000; kill -9 $$", nil, []string{"pg_dump failed: killed by signal 9", "see dmesg"}},
		"exits late": {"REAL \"$@\"; echo 'pg_dump: error: something at the end' >&2; exit 1", nil, []string{"exit status 1: pg_dump: error: something at the end"}},
		"empty":      {"exit 0", ErrIncomplete, []string{"exited with status 0, but the dump is not complete", "it is empty"}},
		"cut":        {"REAL \"$@\" | head -c 100000", ErrIncomplete, []string{"within the data of TABLE DATA public.a"}},
		"not a dump": {"echo '-- hello'; exit 0", ErrIncomplete, []string{"cannot be a dump", "not an archive"}},
		"more":       {"REAL \"$@\"; echo hello", ErrIncomplete, []string{"damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := pgFor(t, s, "shop", withTools(script(t, "pg_dump", realPgDump, test.body)))
			err := p.Dump(context.Background(), io.Discard)
			wantError(t, err, test.words...)
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is no %v", err, test.is)
			}
		})
	}
	t.Run("cut at the end of a block", func(t *testing.T) {
		cut := blockEnd(t, archive)
		path := filepath.Join(t.TempDir(), "archive")
		if err := os.WriteFile(path, archive[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		p := pgFor(t, s, "shop", withTools(script(t, "pg_dump", realPgDump, "cat "+path)))
		err := p.Dump(context.Background(), io.Discard)
		wantError(t, err, "exited with status 0", "the data of 1 of 2 entries is missing; the first is TABLE DATA public.b")
	})
	t.Run("stalls", func(t *testing.T) {
		p := pgFor(t, s, "shop", withTools(script(t, "pg_dump", realPgDump, "REAL \"$@\" | head -c 100000; exec sleep 600")))
		p.limits.Stall = 300 * time.Millisecond
		err := p.Dump(context.Background(), io.Discard)
		if _, ok := errors.AsType[*StallError](err); !ok {
			t.Errorf("%v", err)
		}
	})
	t.Run("the writer fails", func(t *testing.T) {
		if err := pgFor(t, s, "shop").Dump(context.Background(), &failing{after: 300_000}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		reason := errors.New("the user had enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		err := pgFor(t, s, "shop").Dump(ctx, writerFunc(func(b []byte) (int, error) { cancel(reason); return len(b), nil }))
		if !errors.Is(err, reason) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the server stops", func(t *testing.T) {
		err := pgFor(t, s, "shop").Dump(context.Background(), writerFunc(func(b []byte) (int, error) { s.Stop(t); return len(b), nil }))
		wantError(t, err, "pg_dump failed", "the server stopped or restarted")
		err = pgFor(t, s, "shop").Dump(context.Background(), io.Discard)
		wantError(t, err, "connecting to the PostgreSQL database shop", "check DBACKED_DB_HOST")
	})
}

// blockEnd finds where an archive can be cut so that only the last block misses.
func blockEnd(t *testing.T, archive []byte) int {
	t.Helper()
	for cut := len(archive) - 1; cut > 0; cut-- {
		if archive[cut] != 1 || archive[cut-1] != 0 {
			continue
		}
		v := pgarchive.NewVerifier()
		_, err := v.Write(archive[:cut])
		if cerr := v.Close(); err == nil && cerr != nil && strings.Contains(cerr.Error(), "the data of 1 of") {
			return cut
		}
	}
	t.Fatal("no end of a block found")
	return 0
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// failing is a disk that fills.
type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, syscall.ENOSPC
	}
	return len(b), nil
}
