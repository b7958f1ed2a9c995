package uploader

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/storage"
)

// TestFullDisk fills a real disk: the source's writer learns why, and the disk
// is as before.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	dbtest.Need(t, "mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := local(t, dir)
	r, w := io.Pipe()
	writerErr := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
		writerErr <- err
	}()
	_, err := upload(t.Context(), s, "db/1/x", r, Options{PartSize: 1 << 20})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk of "+dir+" is full") {
		t.Errorf("error %v", err)
	}
	if err := <-writerErr; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the source's writer sees %v", err)
	}
	clean(t, s)
	if _, err := upload(t.Context(), s, "db/2/x", bytes.NewReader(random(3<<20)), Options{PartSize: 1 << 20}); err != nil {
		t.Errorf("the next upload: %v", err)
	}
}

// faulty is a real store one of whose calls goes wrong.
type faulty struct {
	storage.Store
	part   func(ctx context.Context, number int) error
	commit func(context.Context, *storage.Object) error
}

type faultyWriter struct {
	storage.Writer
	faulty
}

func (f faulty) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := f.Store.Create(ctx, name)
	return faultyWriter{w, f}, err
}

func (w faultyWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if w.part != nil {
		if err := w.part(ctx, number); err != nil {
			return err
		}
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

func (w faultyWriter) Commit(ctx context.Context) (storage.Object, error) {
	object, err := storage.Object{}, error(nil)
	if w.faulty.commit == nil {
		return w.Writer.Commit(ctx)
	}
	if object, err = w.Writer.Commit(ctx); err == nil {
		err = w.faulty.commit(ctx, &object)
	}
	return object, err
}

// TestFirstCause lets a part fail and then, because of it, the source.
func TestFirstCause(t *testing.T) {
	s := local(t, t.TempDir())
	cause := errors.New("403 Forbidden")
	r, w := io.Pipe()
	go func() {
		var err error
		for err == nil {
			_, err = w.Write(random(1000))
		}
		_ = w.CloseWithError(errors.New("the dump was killed"))
	}()
	f := faulty{Store: s, part: func(_ context.Context, number int) error {
		if number == 3 {
			return cause
		}
		return nil
	}}
	if _, err := upload(t.Context(), f, "db/x", r, Options{PartSize: 1000}); !errors.Is(err, cause) || strings.Contains(err.Error(), "killed") {
		t.Errorf("error %v", err)
	}
	clean(t, s)
}

// TestStoreThatHoldsLess has a store report one byte less than was sent.
func TestStoreThatHoldsLess(t *testing.T) {
	s := local(t, t.TempDir())
	f := faulty{Store: s, commit: func(_ context.Context, o *storage.Object) error {
		o.Size--
		return nil
	}}
	_, err := upload(t.Context(), f, "db/x", bytes.NewReader(random(10)), Options{})
	if !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), "10 bytes were sent and 9 are there") {
		t.Errorf("error %v", err)
	}
	clean(t, s)
}

// TestStalled runs stores that hang, one that heeds its context and one that
// hangs on, in a time of their own.
func TestStalled(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := local(t, t.TempDir())
			free := make(chan struct{})
			f := faulty{Store: s, part: func(ctx context.Context, number int) error {
				if number != 2 {
					return nil
				}
				if heeds {
					<-ctx.Done()
					return ctx.Err()
				}
				<-free
				return errors.New("much too late")
			}}
			_, err := upload(t.Context(), f, "db/x", bytes.NewReader(random(10_000)), Options{PartSize: 1000})
			if !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "10m0s") {
				t.Errorf("heeds its context: %v: error %v", heeds, err)
			}
			close(free)
			synctest.Wait()
			clean(t, s)
		})
	}
}

func TestStalledCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := local(t, t.TempDir())
		f := faulty{Store: s, commit: func(ctx context.Context, _ *storage.Object) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		if _, err := upload(t.Context(), f, "db/x", bytes.NewReader(random(10)), Options{}); !errors.Is(err, ErrStalled) {
			t.Errorf("error %v", err)
		}
	})
}
