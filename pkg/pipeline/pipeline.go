// Package pipeline joins the stages of a backup and of a restore.
//
// A backup flows one way, each stage in a goroutine of its own, joined by
// io.Pipe:
//
//	dumper → encryptor (compressing first) → uploader → storage
//
// and a restore flows back. Every stage closes the ends that it owns with its
// error, so that no goroutine outlives a run and the first cause is the one
// that is reported, as a [*StageError].
//
// A backup has one such flow for each of its streams, one after the other or,
// as its [Plan] says, several at once.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// Stages, as they are named in errors and progress.
const (
	StageLock     = "lock"
	StagePrepare  = "prepare"
	StageDump     = "dump"
	StageEncrypt  = "encrypt"
	StageUpload   = "upload"
	StageCommit   = "commit"
	StageVerify   = "verify"
	StageDownload = "download"
	StageDecrypt  = "decrypt"
	StageRestore  = "restore"
)

// StageError says in which stage a run failed. Unwrap gives the cause.
type StageError struct {
	Stage string
	Err   error
}

func (e *StageError) Error() string { return e.Stage + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// at marks err with a stage, unless it is nil or has one already: an error that
// reaches a stage through a pipe is told as the stage that it comes from told
// it.
func at(stage string, err error) error {
	if err == nil {
		return nil
	}
	if first, ok := errors.AsType[*StageError](err); ok {
		return first
	}
	return &StageError{Stage: stage, Err: err}
}

// Progress counts what has gone through a run. It may be read while the run
// goes on; its zero value is ready, and a nil one counts nothing.
type Progress struct {
	stage         atomic.Pointer[string]
	plain, stored atomic.Int64
	total         atomic.Int64
	alive         atomic.Int64
	held          heldNow
	passes        atomic.Int64 // over each of several files that share it; 0: it is one file's
}

// Snapshot is a Progress at one moment. Total is of stored bytes, 0 while it is
// not known; Plain is what the dump program wrote or is given back.
type Snapshot struct {
	Stage                string
	Plain, Stored, Total int64
	Alive                int64 // grows while what goes on writes nothing
}

// Snapshot returns the counts of now.
func (p *Progress) Snapshot() Snapshot {
	s := Snapshot{Plain: p.plain.Load(), Stored: p.stored.Load(), Total: p.total.Load(), Alive: p.alive.Load()}
	if name := p.stage.Load(); name != nil {
		s.Stage = *name
	}
	if passes := p.passes.Load(); passes > 0 {
		s.Stored = min(s.Stored/passes, s.Total)
	}
	return s
}

// Set shows what another process counts.
func (p *Progress) Set(s Snapshot) {
	p.enter(s.Stage)
	p.plain.Store(s.Plain)
	p.stored.Store(s.Stored)
	p.total.Store(s.Total)
}

func (p *Progress) enter(stage string) {
	if p != nil {
		p.stage.Store(&stage)
	}
}

// Share has several restores count together, which go on at once, of files that
// have so many stored bytes in all. Each reads its file twice: half of what is
// read counts as stored.
func (p *Progress) Share(total int64) {
	p.restart(StageRestore, total)
	p.passes.Store(restorePasses)
}

const restorePasses = 2

// restart begins another pass over total stored bytes.
func (p *Progress) restart(stage string, total int64) {
	if p == nil || p.passes.Load() > 0 {
		return
	}
	p.enter(stage)
	p.plain.Store(0)
	p.stored.Store(0)
	p.total.Store(total)
}

func (p *Progress) addPlain(n int64) {
	if p != nil {
		p.plain.Add(n)
	}
}

func (p *Progress) addStored(n int64) {
	if p != nil {
		p.stored.Add(n)
	}
}

func (p *Progress) setStored(n int64) {
	if p != nil {
		p.stored.Store(n)
	}
}

// counter counts what is written through it.
type counter struct {
	w     io.Writer
	n     int64
	count func(int64)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.count(int64(n))
	return n, err
}

// run calls the stages at once, each in a goroutine, and waits for all of them.
// The first that fails ends the others through their context; its error is the
// result.
func run(ctx context.Context, stages ...func(context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	return runUnder(ctx, fail, stages...)
}

// runUnder is run in a context that fail ends, for others than these stages too:
// it ends for all of them when the first of any fails, and not only when all that
// is beside that one has ended.
func runUnder(ctx context.Context, fail context.CancelCauseFunc, stages ...func(context.Context) error) error {
	first := make(chan error, len(stages))
	for _, stage := range stages {
		go func() {
			err := stage(ctx)
			if err != nil {
				fail(err)
			}
			first <- err
		}()
	}
	var cause error
	for range stages {
		if err := <-first; err != nil && cause == nil {
			cause = err
		}
	}
	// A stage that saw the context end may have answered before the one that
	// ended it.
	if cause != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return cause
}

// stageReader is the end of a pipe that a stage reads. When that stage closes
// it, the one that writes learns from which stage the error comes.
type stageReader struct {
	*io.PipeReader
	stage string
}

// CloseWithError ends the pipe for the stage that writes into it.
func (r stageReader) CloseWithError(err error) error {
	return r.PipeReader.CloseWithError(at(r.stage, err))
}

// guard turns a panic of a stage into its error: one damaged backup must not
// take the others of a long-running process with it.
func guard(stage string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = at(stage, fmt.Errorf("internal error: %v", r))
		}
	}()
	return at(stage, f())
}
