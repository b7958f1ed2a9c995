package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// askEvery is how often a running agent is asked how far it is.
const askEvery = 250 * time.Millisecond

// askAgent has a running agent make the backup, and follows it.
func (b *backupCommand) askAgent(ctx context.Context, a *app, running *runningAgent) error {
	number, err := running.backup(ctx)
	if err != nil {
		return err
	}
	a.say("the agent of %s makes the backup; Ctrl-C only stops watching", running.instance)
	progress := new(pipeline.Progress)
	var run agent.Run
	err = a.follow(ctx, progress, func() (err error) {
		run, err = awaitRun(ctx, running, number, progress)
		return err
	})
	if errors.Is(err, context.Canceled) {
		a.say("the backup goes on: dbacked status %s", running.instance)
	}
	if err != nil {
		return err
	}
	if run.Yielded {
		return &yieldedError{fmt.Errorf("the agent's backup failed: %s", printable(run.Error))}
	}
	if run.Error != "" && !run.Partial {
		return fmt.Errorf("the agent's backup failed: %s", printable(run.Error))
	}
	a.say("backed up: %s of dump, %s stored, in %s", size(run.PlainBytes), size(run.StoredBytes), duration(run.Finished.Sub(run.Started)))
	var places []placeResult
	for _, p := range run.Places {
		places = append(places, placeResult{Storage: p.Storage, OK: p.Error == "", Error: p.Error})
	}
	err = b.printID(ctx, a, run.Backup, places)
	if err == nil && run.Partial {
		err = &partialError{errors.New(printable(run.Error))}
	}
	return err
}

// awaitRun asks until a run is over.
func awaitRun(ctx context.Context, running *runningAgent, number uint64, progress *pipeline.Progress) (agent.Run, error) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for pid := 0; ; {
		s, err := running.status(ctx)
		if err != nil {
			return agent.Run{}, err
		}
		if pid != 0 && pid != s.PID {
			return agent.Run{}, errors.New("the agent was restarted before the backup was made: ask again")
		}
		pid = s.PID
		for _, run := range s.Runs {
			if run.Number == number {
				return run, nil
			}
		}
		if r := s.Running; r != nil {
			progress.Set(pipeline.Snapshot{Stage: r.Stage, Plain: r.PlainBytes, Stored: r.StoredBytes})
		} else if s.State == agent.StateStopping {
			return agent.Run{}, errors.New("the agent stopped before the backup was made: dbacked status shows how it is")
		}
		select {
		case <-ctx.Done():
			return agent.Run{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}
