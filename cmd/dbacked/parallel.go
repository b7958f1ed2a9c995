package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// snapshot is one state of a database that several dumps share.
type snapshot interface {
	Parts() []dumper.Part
	Dump(ctx context.Context, part dumper.Part, w io.Writer) error
	Context() context.Context
	Age() time.Duration
	Blocked() int
	Contents() []dumper.TableContent
	Close() error
}

// counter counts the rows of a part that was dumped, in the snapshot.
type counter interface {
	Count(ctx context.Context, part dumper.Part) error
}

// together is a snapshot of which so many parts must be dumped at the same time.
type together interface{ AtOnce() int }

// splitting is how a database is dumped in parts.
type splitting struct {
	worth func(context.Context, dumper.SnapshotOptions) (bool, error) // whether that is faster
	take  func(context.Context, dumper.SnapshotOptions) (snapshot, error)

	// broken is the error of a snapshot that was broken off: the dump is made
	// anew then, and in the end in one stream.
	broken error

	counts bool // whether its snapshots can count rows
}

// splittingOf is nil where one stream is all there is.
func splittingOf(db database) *splitting {
	switch db := db.(type) {
	case *dumper.Postgres:
		return &splitting{db.Splits, taking(db.Snapshot), dumper.ErrConflict, true}
	case *dumper.MySQL:
		return &splitting{db.Splits, taking(db.Snapshot), dumper.ErrYield, false}
	}
	return nil
}

// taking gives any engine's snapshots one type.
func taking[S snapshot](take func(context.Context, dumper.SnapshotOptions) (S, error)) func(context.Context, dumper.SnapshotOptions) (snapshot, error) {
	return func(ctx context.Context, o dumper.SnapshotOptions) (snapshot, error) {
		s, err := take(ctx, o)
		if err != nil {
			return nil, err // and not a nil of type S
		}
		return s, nil
	}
}

// parallel plans a backup of several streams that share a snapshot, where that is
// worth it and possible.
type parallel struct {
	splitting *splitting
	options   dumper.SnapshotOptions
	countRows bool
	endLimit  time.Duration // for the end of a snapshot
	run       *pipeline.Backup
	log       *zap.Logger

	conflicts int // snapshots that were broken off
}

// snapshotTries is how many snapshots may be broken off before the dump is
// made in one stream.
const snapshotTries = 2

// inParts has a run plan by itself how it dumps. It is nil where one stream is all
// that can be.
func inParts(c *config.Config, db database, run *pipeline.Backup, log *zap.Logger) *parallel {
	p := &parallel{
		splitting: splittingOf(db), run: run, log: log,
		options:  dumper.SnapshotOptions{Jobs: c.Parallel.Jobs, Large: c.Parallel.LargeTable, BlockLimit: c.Parallel.BlockLimit},
		endLimit: c.Timeouts.Connect + c.Timeouts.Stall,
	}
	if p.splitting == nil || run.Format == encryptor.Legacy || p.options.Jobs <= 1 {
		return nil
	}
	p.countRows = c.Parallel.CountRows && p.splitting.counts
	run.Plan = p.plan
	return p
}

// dumpRun is a backup that is made anew when its snapshot was broken off.
type dumpRun struct {
	*pipeline.Backup
	parallel *parallel // nil: in one stream
}

// Run makes the backup.
func (r *dumpRun) Run(ctx context.Context) (*catalog.Manifest, error) {
	for {
		m, err := r.Backup.Run(ctx)
		if ctx.Err() != nil || !r.parallel.again(err) {
			return m, err
		}
	}
}

// again says whether a run that failed is to be made once more, and says so.
func (p *parallel) again(err error) bool {
	if p == nil || !errors.Is(err, p.splitting.broken) || p.conflicts >= snapshotTries {
		return false
	}
	p.conflicts++
	p.log.Warn("the dump was broken off, and is made anew", zap.Error(err), zap.Bool("one_stream", p.conflicts >= snapshotTries))
	return true
}

// plan chooses, under the lock.
func (p *parallel) plan(ctx context.Context, _ *catalog.Manifest) (pipeline.Plan, error) {
	oneStream := pipeline.Plan{Streams: p.run.Streams}
	if p.conflicts >= snapshotTries {
		return oneStream, nil
	}
	if !p.countRows {
		worth, err := p.splitting.worth(ctx, p.options)
		if err != nil || !worth {
			return oneStream, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s, err := p.splitting.take(ctx, p.options)
	if err == nil {
		return p.parts(s, cancel), nil
	}
	cancel(nil)
	if errors.Is(err, dumper.ErrNotShared) {
		p.log.Warn("the dump is made in one stream", zap.Error(err))
		return oneStream, nil
	}
	return pipeline.Plan{}, err
}

// parts is the plan of a snapshot, which cancel ends.
func (p *parallel) parts(s snapshot, cancel context.CancelCauseFunc) pipeline.Plan {
	release := p.run.Progress.Hold(func() pipeline.Held { return pipeline.Held{Age: s.Age(), Blocked: s.Blocked()} })
	before, jobs := p.before(), p.options.Jobs
	if t, ok := s.(together); ok {
		jobs = len(before) + t.AtOnce()
	} else {
		for i := range before {
			before[i].Beside = true
		}
	}
	return pipeline.Plan{
		Streams: append(before, p.streams(s)...),
		Jobs:    jobs,
		Last:    []pipeline.Stream{{Kind: catalog.KindContents, Dump: contents(s)}},
		Close: func() error {
			defer cancel(nil)
			defer release()
			return p.end(s, cancel)
		},
	}
}

// before are the streams of a whole dump but for the dump itself.
func (p *parallel) before() (streams []pipeline.Stream) {
	for _, s := range p.run.Streams {
		if s.Kind != catalog.KindDump {
			streams = append(streams, s)
		}
	}
	return streams
}

// streams are a snapshot's parts.
func (p *parallel) streams(s snapshot) (streams []pipeline.Stream) {
	for _, part := range s.Parts() {
		kind := catalog.KindData
		if part.Definitions {
			kind = catalog.KindSchema
		}
		dump := func(ctx context.Context, w io.Writer) error {
			if err := s.Dump(ctx, part, w); err != nil {
				return err
			}
			return p.count(ctx, s, part)
		}
		streams = append(streams, pipeline.Stream{Kind: kind, Dump: dump, Beside: part.Light})
	}
	return streams
}

// countBeat is how often a count is said to go on. The session that holds the
// snapshot is asked as often whether it lives, and ends the count when it does not.
const countBeat = time.Second

// count counts the rows of a part, if that is wanted.
func (p *parallel) count(ctx context.Context, s snapshot, part dumper.Part) error {
	c, ok := s.(counter)
	if !p.countRows || !ok || part.Definitions {
		return nil
	}
	tick, counted := time.NewTicker(countBeat), make(chan error, 1)
	defer tick.Stop()
	go func() { counted <- c.Count(ctx, part) }()
	for {
		select {
		case err := <-counted:
			return err
		case <-tick.C:
			p.run.Progress.Alive()
		}
	}
}

// contents writes which table is in which part, once all are dumped.
func contents(s snapshot) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		c := dumper.Contents{Tables: s.Contents()}
		for _, part := range s.Parts() {
			if !part.Definitions {
				c.Parts = append(c.Parts, part.Name)
			}
		}
		return dumper.WriteContents(w, c)
	}
}

// end ends a snapshot: nil says that the parts are the whole database.
func (p *parallel) end(s snapshot, cancel context.CancelCauseFunc) error {
	late := time.AfterFunc(p.endLimit, func() {
		cancel(fmt.Errorf("the server did not let the snapshot end within %s", p.endLimit))
	})
	defer late.Stop()
	return s.Close()
}
