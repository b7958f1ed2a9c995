package main

import (
	"errors"

	"github.com/dbacked/dbacked/pkg/agent"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
)

// The exit statuses, of which the manual has the same table. Those from 64 on
// are the ones of sysexits(3), as systemd knows them.
const (
	exitOK          = 0
	exitFailure     = 1   // what was asked for failed
	exitUsage       = 64  // wrong flags or arguments
	exitDamaged     = 65  // a backup is damaged, cut, or not for this key
	exitNotFound    = 66  // no such backup, or no such table in it
	exitRefused     = 73  // refused in order not to lose data
	exitPartial     = 74  // a backup was made, but not in every place
	exitAgain       = 75  // another run holds the lock, the dump gave way to others, or the agent was told to end after its run
	exitOrigin      = 77  // a backup's origin is not proved
	exitConfig      = 78  // the configuration is wrong or incomplete
	exitInterrupted = 130 // by a signal
)

var errInterrupted = errors.New("interrupted")

// usageError is an error of the command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// refusedError says that something was not done in order not to lose data.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// partialError says that a backup which an agent made is not in every place.
type partialError struct{ error }

func (e *partialError) Unwrap() error { return e.error }

// yieldedError says that a backup which an agent made gave way to others.
type yieldedError struct{ error }

func (e *yieldedError) Unwrap() error { return dumper.ErrYield }

// exitStatus is the one table from errors to exit statuses.
func exitStatus(err error) int {
	for _, row := range []struct {
		is     func(error) bool
		status int
	}{
		{is(errInterrupted), exitInterrupted},
		{as[*pipeline.PartialError], exitPartial},
		{as[*partialError], exitPartial},
		{as[*usageError], exitUsage},
		{as[*config.Error], exitConfig},
		{as[*refusedError], exitRefused},
		{as[*keyChangedError], exitRefused},
		{is(catalog.ErrStopped), exitRefused},
		{is(catalog.ErrNeedsForce), exitRefused},
		{is(locker.ErrHeld), exitAgain},
		{is(agent.ErrDrained), exitAgain},
		{is(dumper.ErrYield), exitAgain},
		{is(catalog.ErrUnproved), exitOrigin},
		{is(catalog.ErrNoBackup), exitNotFound},
		{is(pipeline.ErrDiffers), exitDamaged},
		{is(encryptor.ErrTruncated), exitDamaged},
		{is(encryptor.ErrDamaged), exitDamaged},
		{is(encryptor.ErrWrongKey), exitDamaged},
		{is(encryptor.ErrUnsupported), exitDamaged},
		{is(encryptor.ErrNotDbacked), exitDamaged},
		{is(encryptor.ErrPassphrase), exitConfig},
		{is(storage.ErrNotFound), exitDamaged}, // a file that the manifest names
		{is(dumper.ErrWrongEngine), exitRefused},
		{is(dumper.ErrOtherRows), exitDamaged},
		{is(dumper.ErrSessions), exitRefused},
		{is(dumper.ErrHasRows), exitRefused},
		{is(dumper.ErrUnfit), exitRefused},
		{is(dumper.ErrNoTable), exitNotFound},
		{is(dumper.ErrNotOwner), exitRefused},
	} {
		if row.is(err) {
			return row.status
		}
	}
	return exitFailure
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}
