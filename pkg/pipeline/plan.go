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
	// Jobs is how many of them go on at once, at most; 0: one.
	Jobs int
	// Last come after all of them, one after the other: what they have found.
	Last []Stream
	// Close, if set, ends what the streams shared. It is called once, when no
	// stream goes on any more and before the manifest is written, whatever became
	// of them. Its error fails the run.
	Close func() error
}

// jobs is how many streams go on at once.
func (p *Plan) jobs() int { return max(1, min(p.Jobs, len(p.Streams))) }

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

// inTurn makes streams in their order, so many at once. The first stage of any of
// them that fails ends the others; its error is the result.
func inTurn(ctx context.Context, jobs, streams int, one func(ctx context.Context, fail context.CancelCauseFunc, i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var begun atomic.Int64
	job := func(ctx context.Context) error {
		for i := int(begun.Add(1)) - 1; i < streams; i = int(begun.Add(1)) - 1 {
			if err := context.Cause(ctx); err != nil {
				return at(StageDump, err)
			}
			if err := one(ctx, fail, i); err != nil {
				return err
			}
		}
		return nil
	}
	return at(StageUpload, runUnder(ctx, fail, slices.Repeat([]func(context.Context) error{job}, jobs)...))
}
