package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// TestGaveWay: a dump that gave way to others is tried again soon, and those who
// waited behind it are counted on.
func TestGaveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := pipeline.Held{Age: 90 * time.Second, Blocked: 2}
		w := &world{stored: []Backup{{ID: "1", Started: time.Now().Add(-time.Hour)}}}
		tries, goOn, errYielded := 0, make(chan struct{}), errors.New("the dump gave way to others")
		w.backup = func(_ context.Context, p *pipeline.Progress) error {
			defer p.Hold(func() pipeline.Held { return held })()
			<-goOn
			if tries++; tries < 3 {
				return &pipeline.StageError{Stage: pipeline.StageDump, Err: errYielded}
			}
			return nil
		}
		live(t, w, func(o *Options) { o.Yielded = func(err error) bool { return errors.Is(err, errYielded) } })
		defer w.end()
		if _, err := w.agent.Request(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := w.agent.Status(); s.Running == nil || s.Running.SnapshotSeconds != 90 || s.Running.BlockedSessions != 2 || s.BlockedSessions != 2 {
			t.Errorf("while it runs: %+v, %d blocked", s.Running, s.BlockedSessions)
		}
		asked := time.Now()
		close(goOn)
		for w.agent.Status().Successes == 0 && time.Since(asked) < time.Hour {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		s := w.agent.Status()
		if took := time.Since(asked); took > 5*time.Minute || s.Failures[pipeline.StageDump] != 2 || s.BlockedSessions != 6 || !s.Healthy || s.Runs[0].Yielded || !s.Runs[1].Yielded {
			t.Errorf("after %s: %d failures, %d blocked, %q", took, s.Failures[pipeline.StageDump], s.BlockedSessions, s.Problem)
		}
	})
}
