package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/pipeline"
)

// lookEvery is how often the run at hand is looked at.
const lookEvery = time.Second

// run makes one backup and remembers how it went.
func (a *Agent) run(ctx context.Context, reason string) error {
	progress := new(pipeline.Progress)
	started := time.Now()
	a.mu.Lock()
	r := a.state.begin(reason, progress, started)
	a.mu.Unlock()
	a.options.Log.Info("backup started", zap.String("event", "backup-started"), zap.String("reason", reason))
	a.ping(ctx, pingStart)

	backup, err := a.supervised(ctx, reason, r)
	result := Run{
		Number: r.number, Reason: reason, Started: started.UTC(), Finished: time.Now().UTC(),
		Backup: backup.ID, PlainBytes: backup.PlainBytes, StoredBytes: backup.StoredBytes,
	}
	if result.Places, result.Partial = runPlaces(backup, err); err != nil {
		result.Stage, result.Error = stageOf(err), err.Error()
		result.Yielded = a.options.Yielded != nil && a.options.Yielded(err)
	}
	if result.Partial {
		result.Stage = ""
	}
	a.ended(ctx, result, backup, err)
	if err == nil || result.Partial {
		a.after(ctx, backup)
	}
	return err
}

// supervised makes the backup, and ends it when a stage is stuck.
func (a *Agent) supervised(ctx context.Context, reason string, r *running) (Backup, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		a.supervise(ctx, r, stop)
	}()
	backup, err := a.options.Backup(ctx, reason, r.progress)
	stop(nil)
	<-watching
	return backup, err
}

func (a *Agent) supervise(ctx context.Context, r *running, stop context.CancelCauseFunc) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p := r.progress.Snapshot()
			a.mu.Lock()
			still := r.pace.moved(p, now)
			a.mu.Unlock()
			if limit := a.options.StageLimit(p.Stage); still > limit {
				stop(&pipeline.StageError{Stage: p.Stage, Err: fmt.Errorf(
					"%w for %s: look at the database, its host and the storage; DBACKED_STALL_TIMEOUT raises the limit", ErrStuck, limit)})
				return
			}
			a.tell()
		}
	}
}

// ended remembers a run and tells the world.
func (a *Agent) ended(ctx context.Context, r Run, backup Backup, err error) {
	held := err != nil && a.options.Held(err)
	stopped := err != nil && ctx.Err() != nil && !r.Partial
	a.mu.Lock()
	a.state.turned = time.Now()
	if running := a.state.running; running != nil {
		a.state.blocked += uint64(running.progress.Held().Blocked)
	}
	if stopped {
		a.state.running = nil // told to stop: that is no failure of the backup
	} else {
		a.state.end(r, held)
	}
	if err == nil || r.Partial {
		a.state.history = append([]Backup{backup}, a.state.history...)
	}
	a.mu.Unlock()
	a.log(r, err, held, stopped)
	switch {
	case err == nil:
		a.ping(ctx, pingDone)
	case !held && !stopped:
		a.ping(ctx, pingFail)
	}
	a.remember()
	a.tell()
}

// after does what follows a proved backup.
func (a *Agent) after(ctx context.Context, made Backup) {
	if a.options.After == nil {
		return
	}
	err := a.options.After(ctx, made)
	if ctx.Err() != nil {
		return // the next backup's turn
	}
	alert := ""
	if err != nil {
		alert = err.Error()
		a.options.Log.Error("older backups were not removed", zap.String("event", "prune-stopped"), zap.Error(err))
	}
	a.mu.Lock()
	a.state.alert, a.state.turned = alert, time.Now()
	a.mu.Unlock()
	a.tell()
}

func (a *Agent) log(r Run, err error, held, stopped bool) {
	log := a.options.Log
	took := zap.Duration("duration", r.Finished.Sub(r.Started).Round(time.Millisecond))
	switch {
	case err == nil:
		log.Info(fmt.Sprintf("backup proved: %s of dump, %s stored", size(r.PlainBytes), size(r.StoredBytes)),
			zap.String("event", "backup-proved"), zap.String("backup", r.Backup), took,
			zap.Int64("plain_bytes", r.PlainBytes), zap.Int64("stored_bytes", r.StoredBytes))
	case r.Partial:
		log.Error("backup partial: it is good, but not in every place", zap.String("event", "backup-partial"), zap.String("backup", r.Backup), took, zap.Error(err))
	case stopped:
		log.Warn("backup ended, since the agent is stopping; nothing of it stays", zap.String("event", "backup-cancelled"), zap.String("stage", r.Stage), took)
	case held:
		log.Info("another run holds the lock", zap.String("event", "lock-held"), zap.Error(err))
	default:
		log.Error("backup failed", zap.String("event", "backup-failed"), zap.String("stage", r.Stage), took, zap.Error(err))
	}
}

// stageOf names the stage in which a run failed.
func stageOf(err error) string {
	if stage, ok := errors.AsType[*pipeline.StageError](err); ok {
		return stage.Stage
	}
	return pipeline.StagePrepare // before there was any
}
