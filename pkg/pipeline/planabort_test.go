package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/storage"
)

// slowAbort is a store in which what was begun takes its time to be taken back.
type slowAbort struct {
	storage.Store
	until chan struct{}
}

func (s slowAbort) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	if strings.HasSuffix(name, "/0000.dbacked") {
		return slowAbortWriter{w, s.until}, err
	}
	return w, err
}

type slowAbortWriter struct {
	storage.Writer
	until chan struct{}
}

func (w slowAbortWriter) Abort(ctx context.Context) error {
	select {
	case <-w.until:
		return w.Writer.Abort(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestFailureEndsTheOthersAtOnce shows that the others do not go on for as long as
// it takes to clear up behind the one that failed.
func TestFailureEndsTheOthersAtOnce(t *testing.T) {
	b := newBed(t)
	ended, begun := make(chan struct{}), make(chan struct{})
	streams := []Stream{
		{Kind: catalog.KindSchema, Dump: func(_ context.Context, w io.Writer) error {
			if _, err := w.Write(noise(1000)); err != nil {
				return err
			}
			<-begun
			return errBroken
		}},
		{Kind: catalog.KindData, Dump: func(ctx context.Context, _ io.Writer) error {
			close(begun)
			<-ctx.Done()
			close(ended)
			return context.Cause(ctx)
		}},
	}
	run := b.planned(Plan{Streams: streams, Jobs: 2})
	run.Store = slowAbort{b.store, ended}
	_, err := run.Run(t.Context())
	if wantStage(t, err, StageDump, errBroken); strings.Contains(err.Error(), "could not be removed") {
		t.Errorf("error %v", err)
	}
	b.nothingLeft()
}

// noAbort is a store that takes nothing back, and no part of some files.
type noAbort struct {
	storage.Store
	refuses string
	begun   *sync.WaitGroup
}

func (s noAbort) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	s.begun.Done()
	return noAbortWriter{w, strings.HasSuffix(name, s.refuses)}, err
}

type noAbortWriter struct {
	storage.Writer
	refuses bool
}

func (w noAbortWriter) WritePart(ctx context.Context, number int, offset int64, p []byte) error {
	if w.refuses {
		return errBroken
	}
	return w.Writer.WritePart(ctx, number, offset, p)
}

func (w noAbortWriter) Abort(ctx context.Context) error {
	return errors.Join(w.Writer.Abort(ctx), errors.New("403 Forbidden"))
}

// TestWhatIsLeftOfEachStreamIsSaid: the error of a run is the first one, and what
// could not be taken back of the others, or of a file whose source failed, is not
// in it.
func TestWhatIsLeftOfEachStreamIsSaid(t *testing.T) {
	second := Stream{Kind: catalog.KindData, Dump: func(ctx context.Context, _ io.Writer) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	for refuses, want := range map[string]int{"": 1, "/nothing": 2} {
		b := newBed(t)
		var begun sync.WaitGroup // both files
		begun.Add(2)
		first := Stream{Kind: catalog.KindSchema, Dump: func(_ context.Context, w io.Writer) error {
			begun.Wait()
			_, err := w.Write(noise(1000))
			if want == 1 {
				return err // and the storage fails
			}
			return errors.Join(err, errBroken)
		}}
		core, logged := observer.New(zap.WarnLevel)
		run := b.planned(Plan{Streams: []Stream{first, second}, Jobs: 2})
		run.Store, run.Log = noAbort{b.store, refuses, &begun}, zap.New(core)
		_, err := run.Run(t.Context())
		if !errors.Is(err, errBroken) || strings.Contains(err.Error(), "could not be removed") != (want == 1) {
			t.Errorf("error %v", err)
		}
		if got := logged.FilterMessageSnippet("could not be removed").Len(); got != want {
			t.Errorf("%d files were said to be left, want %d: %v", got, want, logged.All())
		}
	}
}
