package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// splitOf is the streams of a dump that is split, and what is in them.
func splitOf(data ...[]byte) (streams []Stream, plain [][]byte) {
	plain = append([][]byte{[]byte("CREATE ROLE x;"), []byte("CREATE TABLE x ();")}, data...)
	for i, p := range plain {
		s := dumpOf(p)
		s.Kind = []string{catalog.KindGlobals, catalog.KindSchema, catalog.KindData}[min(i, 2)]
		streams = append(streams, s)
	}
	return streams, plain
}

// planned is a run of a plan, which is not compressed.
func (b *bed) planned(plan Plan) *Backup {
	run := b.backup()
	run.Compression = compress.Spec{Algorithm: compress.None}
	run.Plan = func(context.Context, *catalog.Manifest) (Plan, error) { return plan, nil }
	return run
}

// wantStreams reads each stream of a backup back.
func (b *bed) wantStreams(m *catalog.Manifest, kinds []string, plain [][]byte) {
	b.t.Helper()
	heads := slices.DeleteFunc(slices.Clone(m.Files), func(f catalog.File) bool { return f.Continues })
	if len(heads) != len(plain) {
		b.t.Errorf("%d streams instead of %d", len(heads), len(plain))
		return
	}
	names := map[string]bool{}
	for _, f := range m.Files {
		names[f.Name] = true
	}
	if len(names) != len(m.Files) {
		b.t.Errorf("the files are %+v", m.Files)
	}
	for i, f := range heads {
		var back bytes.Buffer
		r := &Restore{File: SealedFile(b.store, m, f), Key: b.key, Proved: true, Target: into(&back)}
		if err := r.Run(b.t.Context()); err != nil || !bytes.Equal(back.Bytes(), plain[i]) || f.Kind != kinds[i] {
			b.t.Errorf("stream %d, %s: %d bytes of %d came back, %v", i, f.Kind, back.Len(), len(plain[i]), err)
		}
	}
	b.wantVerified(m, nil)
}

func kindsOf(streams ...Stream) (kinds []string) {
	for _, s := range streams {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

// TestStreamsGoOnAtOnce has each of the first three streams wait for the other two.
func TestStreamsGoOnAtOnce(t *testing.T) {
	b := newTightBed(t)
	streams, plain := splitOf(b.stored(3*segment), b.stored(segment+1), noise(10))
	var meet sync.WaitGroup
	meet.Add(3)
	for i := range streams[:3] {
		dump := streams[i].Dump
		streams[i].Dump = func(ctx context.Context, w io.Writer) error {
			meet.Done()
			meet.Wait()
			return dump(ctx, w)
		}
	}
	m, err := b.planned(Plan{Streams: streams, Jobs: 3}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Version != catalog.LayoutSplit {
		t.Errorf("layout %d", m.Version)
	}
	b.wantStreams(m, kindsOf(streams...), plain)
}

// TestStreamsGoOnBeside has the streams that go on beside the others wait for the
// only job, and it for the last of them; of two of them, the second comes after the
// first.
func TestStreamsGoOnBeside(t *testing.T) {
	b := newTightBed(t)
	streams, plain := splitOf(b.stored(2*segment), noise(10))
	var meet sync.WaitGroup
	var beside atomic.Int64
	meet.Add(2)
	for i := range streams {
		dump := streams[i].Dump
		streams[i].Beside = i != 2
		streams[i].Dump = func(ctx context.Context, w io.Writer) error {
			if i != 2 && beside.Add(1) != 1 {
				t.Error("two streams go on beside the others")
			}
			if i >= 2 { // the job, and the last beside it
				meet.Done()
				meet.Wait()
			}
			if i != 2 {
				defer beside.Add(-1)
			}
			return dump(ctx, w)
		}
	}
	m, err := b.planned(Plan{Streams: streams, Jobs: 1}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.wantStreams(m, kindsOf(streams...), plain)
}

// TestOrderOfAPlan shows what comes when: Plan after Describe, the last streams
// after all others, Close after those, and then the manifest.
func TestOrderOfAPlan(t *testing.T) {
	b := newTightBed(t)
	streams, plain := splitOf(b.stored(2*segment), noise(1000))
	var order []string
	var mu sync.Mutex
	say := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	said := func(s Stream, what string) Stream {
		return Stream{Kind: s.Kind, Dump: func(ctx context.Context, w io.Writer) error {
			err := s.Dump(ctx, w)
			say(what)
			return err
		}}
	}
	for i := range streams {
		streams[i] = said(streams[i], "stream")
	}
	contents := Stream{Kind: catalog.KindContents, Dump: dumpOf([]byte(`{}`)).Dump}
	run := b.planned(Plan{})
	describe := run.Describe
	run.Describe = func(ctx context.Context, m *catalog.Manifest) error {
		say("describe")
		return describe(ctx, m)
	}
	run.Plan = func(_ context.Context, m *catalog.Manifest) (Plan, error) {
		say("plan of " + m.Engine)
		return Plan{Streams: streams, Jobs: 4, Last: []Stream{said(contents, "contents")}, Close: func() error {
			if ids := b.ids(); len(ids) > 0 {
				t.Errorf("there is a manifest already: %s", ids)
			}
			say("close")
			return nil
		}}, nil
	}
	m, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"describe", "plan of postgresql", "stream", "stream", "stream", "stream", "contents", "close"}
	if !slices.Equal(order, want) {
		t.Errorf("it came in the order %q", order)
	}
	b.wantStreams(m, kindsOf(append(streams, contents)...), append(plain, []byte(`{}`)))
	var total int64
	for _, f := range m.Files {
		total += f.StoredBytes
	}
	if s := run.Progress.Snapshot(); s.Stored != total {
		t.Errorf("progress is %+v of %d bytes", s, total)
	}
}

// TestFirstFailureOfStreams has one stream fail, and the others, which go on until
// their context ends, then fail otherwise.
func TestFirstFailureOfStreams(t *testing.T) {
	b := newTightBed(t)
	streams, _ := splitOf(nil, nil, nil, nil)
	var begun sync.WaitGroup
	begun.Add(4)
	for i := range streams {
		streams[i].Dump = func(ctx context.Context, w io.Writer) error {
			if _, err := w.Write(noise(1000)); err != nil {
				return err
			}
			begun.Done()
			if i == 2 {
				begun.Wait()
				return errBroken
			}
			<-ctx.Done()
			return errors.New("it was killed")
		}
		if i > 3 {
			streams[i].Dump = func(context.Context, io.Writer) error {
				t.Error("another was begun after the failure")
				return nil
			}
		}
	}
	closed := 0
	run := b.planned(Plan{Streams: streams, Jobs: 4, Close: func() error { closed++; return errors.New("it does not end") }})
	_, err := run.Run(t.Context())
	wantStage(t, err, StageDump, errBroken)
	if closed != 1 || strings.Contains(err.Error(), "killed") {
		t.Errorf("closed %d times, %v", closed, err)
	}
	b.nothingLeft()
}

// TestPlansThatFail fails what is around the streams.
func TestPlansThatFail(t *testing.T) {
	streams, _ := splitOf(noise(1000))
	var closed atomic.Int32
	ends := func(err error) func() error {
		return func() error {
			closed.Add(1)
			return err
		}
	}
	bad := Stream{Kind: catalog.KindContents, Dump: func(context.Context, io.Writer) error { panic("no such thing") }}
	for name, test := range map[string]struct {
		plan   Plan
		err    error
		change func(*Backup)
		stage  string
		text   string
		closed int32
	}{
		"the plan":            {err: errBroken, stage: StagePrepare, text: errBroken.Error()},
		"its end":             {plan: Plan{Streams: streams, Close: ends(errBroken)}, stage: StageDump, text: errBroken.Error(), closed: 1},
		"its end, by a panic": {plan: Plan{Streams: streams, Close: func() error { closed.Add(1); panic("gone") }}, stage: StageDump, text: "internal error: gone", closed: 1},
		"a panic at the last": {plan: Plan{Streams: streams, Last: []Stream{bad}, Close: ends(nil)}, stage: StageDump, text: "internal error", closed: 1},
		"no stream":           {plan: Plan{Close: ends(nil)}, stage: StageCommit, text: "no dump", closed: 1},
		"a legacy file": {plan: Plan{Streams: streams, Close: ends(nil)}, stage: StagePrepare, text: "legacy", closed: 1, change: func(b *Backup) {
			b.Format, b.Compression = encryptor.Legacy, compress.Spec{Algorithm: compress.Gzip}
		}},
		"the memory": {plan: Plan{Streams: streams, Jobs: 3, Close: ends(nil)}, stage: StageUpload, text: "fewer streams at once than 3", closed: 1, change: func(b *Backup) {
			b.Store, b.UploadBudget = wideStore{b.Store}, 20<<20
		}},
	} {
		b := newBed(t)
		closed.Store(0)
		run := b.planned(test.plan)
		if test.err != nil {
			run.Plan = func(context.Context, *catalog.Manifest) (Plan, error) { return Plan{}, test.err }
		}
		if test.change != nil {
			test.change(run)
		}
		_, err := run.Run(t.Context())
		if wantStage(t, err, test.stage, err); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", name, err)
		}
		if closed.Load() != test.closed {
			t.Errorf("%s: closed %d times", name, closed.Load())
		}
		b.nothingLeft()
	}
}
