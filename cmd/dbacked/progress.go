package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// lineEvery is how often a long run says something where no line can be
// rewritten.
const lineEvery = 30 * time.Second

// follow shows a run's progress while f runs: a living line on a terminal, a
// plain one now and then elsewhere.
func (s *screen) follow(ctx context.Context, p *pipeline.Progress, f func() error) error {
	start := time.Now()
	if s.live {
		stop := s.bar(ctx, p, start)
		defer stop()
		return f()
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(lineEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.say("%s", progressLine(p.Snapshot(), time.Since(start)))
			case <-done:
				return
			}
		}
	}()
	defer func() { close(done); <-ended }()
	return f()
}

// bar draws the living line; the returned function takes it away.
func (s *screen) bar(ctx context.Context, p *pipeline.Progress, start time.Time) (stop func()) {
	// A context of its own: the line is taken away by stop, after a Ctrl-C too.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(s.err), mpb.WithRefreshRate(200*time.Millisecond))
	line := func(decor.Statistics) string { return progressLine(p.Snapshot(), time.Since(start)) }
	b := bars.MustAdd(0, mpb.BarFillerFunc(func(io.Writer, decor.Statistics) error { return nil }),
		mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Any(line)))
	return func() {
		b.Abort(true)
		bars.Wait()
		cancel()
	}
}

// progressLine says how far a run is.
func progressLine(p pipeline.Snapshot, elapsed time.Duration) string {
	moved := max(p.Plain, p.Stored)
	rate := ""
	if s := elapsed.Seconds(); s >= 1 && moved > 0 {
		rate = fmt.Sprintf(", %s/s", size(int64(float64(moved)/s)))
	}
	amount := fmt.Sprintf("%s read, %s stored", size(p.Plain), size(p.Stored))
	if p.Total > 0 {
		amount = fmt.Sprintf("%s of %s (%d %%)", size(p.Stored), size(p.Total), min(100, 100*p.Stored/p.Total))
	}
	return fmt.Sprintf("%s: %s%s, %s", p.Stage, amount, rate, duration(elapsed))
}

// size is a number of bytes for people: "1.2 GB".
func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// duration is a time for people, in seconds.
func duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// age is how long ago t was, for people: "3 hours ago".
func age(t time.Time) string { return humanize.Time(t) }
