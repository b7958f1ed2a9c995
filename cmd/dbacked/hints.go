package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/dumper"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/locker"
	"github.com/dbacked/dbacked/pkg/storage"
)

// hint is what to do about an error, where the error itself cannot say it
// because only the command line knows.
func hint(err error) string {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return "dbacked --help shows the commands, dbacked COMMAND --help what one takes, with examples"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return "this user lacks the rights: sudo dbacked …"
	case errors.Is(err, errNoManifest):
		return "dbacked-server keeps manifests, which prove who made a backup"
	case errors.Is(err, catalog.ErrUnproved):
		return "set DBACKED_TRUST to the verifier key of the host that made the backup (dbacked check prints it there); dbacked restore --accept-unproved-origin goes on without"
	case problemCode(err) == api.CodeNoAgent:
		return "a key of the kind restore makes no backups: dbacked-server key create PROJECT makes one of the kind agent, for DBACKED_APIKEY here"
	case errors.Is(err, storage.ErrForbidden) && as[*api.Problem](err):
		return "a key of the kind agent can only add: dbacked-server key create PROJECT --kind restore makes one that reads, for DBACKED_APIKEY where you restore"
	case errors.Is(err, storage.ErrForbidden):
		return "where this host may only write, restore, verify and prune elsewhere, each under its own credential; s3.md in the documentation says which right each command needs"
	case errors.Is(err, locker.ErrHeld):
		return "wait until it ends; a lock whose holder died is free at once, a lease in a bucket after about two minutes"
	case errors.Is(err, dumper.ErrYield):
		return "try again when the others are done, which an agent does by itself; DBACKED_BLOCK_LIMIT is how long they may wait for the dump, DBACKED_LOCK_TIMEOUT how long it waits for them"
	case errors.Is(err, encryptor.ErrWrongKey):
		return "dbacked list --json shows the fingerprints of the keys that open a backup"
	case errors.Is(err, encryptor.ErrTruncated), errors.Is(err, encryptor.ErrDamaged):
		return "dbacked verify --all shows which backups are good"
	}
	return ""
}

// problemCode is which answer of the service an error is, "" if it is none.
func problemCode(err error) string {
	p, ok := errors.AsType[*api.Problem](err)
	if !ok {
		return ""
	}
	return p.Code
}
