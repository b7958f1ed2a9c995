package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/encryptor"
)

// Plan is what to dump, when that depends on the database as it is under the
// lock.
type Plan struct {
	// Streams become files, or chains of files. They are begun in this order, and
	// the manifest has them in it: the largest first, so that none goes on alone
	// for long.
	Streams []Stream
	// Jobs is how many of them go on at once, at most, without those that go on
	// beside the others; 0: one.
	Jobs int
	// Last come after all of them, one after the other: what they have found.
	Last []Stream
	// Close, if set, ends what the streams shared. It is called once, when no
	// stream goes on any more and before the manifest is written, whatever became
	// of them. Its error fails the run.
	Close func() error
}

// queue is streams, by their places, of which so many go on at once.
type queue struct {
	jobs    int
	streams []int
}

// queues are the streams, and those beside them, one after the other.
func (p *Plan) queues() []queue {
	var main, beside queue
	for i, s := range p.Streams {
		if s.Beside {
			beside.streams = append(beside.streams, i)
		} else {
			main.streams = append(main.streams, i)
		}
	}
	main.jobs, beside.jobs = min(max(1, p.Jobs), len(main.streams)), min(1, len(beside.streams))
	return []queue{main, beside}
}

// jobs is how many streams go on at once.
func (p *Plan) jobs() (n int) {
	for _, q := range p.queues() {
		n += q.jobs
	}
	return max(1, n)
}

func (p *Plan) end() error {
	if p.Close == nil {
		return nil
	}
	return guard(StageDump, p.Close)
}

// plan says what to dump. If it fails there is nothing to close.
func (b *Backup) plan(ctx context.Context, m *catalog.Manifest) (plan Plan, err error) {
	plan.Streams = b.Streams
	if b.Plan != nil {
		err = guard(StagePrepare, func() error {
			plan, err = b.Plan(ctx, m)
			return err
		})
	}
	return plan, err
}

// check refuses a plan that the format has no place for, before anything is
// dumped.
func (b *Backup) check(plan Plan) error {
	for _, streams := range [][]Stream{plan.Streams, plan.Last} {
		for _, s := range streams {
			if b.Format == encryptor.Legacy && s.Kind != catalog.KindDump && s.Kind != catalog.KindGlobals {
				return fmt.Errorf("in the legacy format a dump is one file, and not several that are made at once (%s): use the current format, or one stream", s.Kind)
			}
		}
	}
	return nil
}

// inTurn makes the streams of each queue in their order. The first stage of any of
// them that fails ends the others; its error is the result.
func inTurn(ctx context.Context, queues []queue, one func(ctx context.Context, fail context.CancelCauseFunc, i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var jobs []func(context.Context) error
	for _, q := range queues {
		var begun atomic.Int64
		job := func(ctx context.Context) error {
			for i := int(begun.Add(1)) - 1; i < len(q.streams); i = int(begun.Add(1)) - 1 {
				if err := context.Cause(ctx); err != nil {
					return at(StageDump, err)
				}
				if err := one(ctx, fail, q.streams[i]); err != nil {
					return err
				}
			}
			return nil
		}
		jobs = append(jobs, slices.Repeat([]func(context.Context) error{job}, q.jobs)...)
	}
	return at(StageUpload, runUnder(ctx, fail, jobs...))
}
