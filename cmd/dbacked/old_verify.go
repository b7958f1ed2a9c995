package main

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dbacked/dbacked/pkg/api"
	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

// verify is what can be done without a manifest: all of a backup is read, decrypted and
// decompressed.
func (o *oldService) verify(ctx context.Context, a *app, v *verifyCommand, key *rsa.PrivateKey) error {
	switch {
	case v.Listed:
		return &refusedError{fmt.Errorf("--listed compares a backup with its manifest, and the service %s keeps none", o.config.Storage)}
	case key == nil:
		return configError(o.config, "the service %s keeps no manifest to compare a backup with, so verify decrypts it, and needs the private key: DBACKED_PRIVATE_KEY_FILE, or --private-key-path", o.config.Storage)
	}
	first, err := o.pick(v.Backup)
	if err != nil {
		return err
	}
	chosen := []api.Backup{first}
	if v.All {
		chosen = o.project.Backups
	}
	var failed error
	for _, b := range chosen {
		if err := o.verifyOne(ctx, a, v, b, key); err != nil {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return failed
}

func (o *oldService) verifyOne(ctx context.Context, a *app, v *verifyCommand, b api.Backup, key *rsa.PrivateKey) error {
	file, format, bad := o.sealed(ctx, b, key)
	if bad == nil {
		run := &pipeline.Restore{File: file, Key: key, Progress: new(pipeline.Progress), Target: copyTo(io.Discard)}
		bad = a.follow(ctx, run.Progress, func() error { return run.Run(ctx) })
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	result := verified{ID: b.ID, OK: bad == nil, Opened: true, Origin: errNoManifest.Error()}
	if bad != nil {
		result.Files = []verifiedFile{{Name: b.Filename, Kind: catalog.KindDump, Error: bad.Error()}}
	}
	if err := o.printVerified(a, v, result, format); err != nil {
		return err
	}
	if bad != nil {
		return fmt.Errorf("backup %s is not good: %w", printable(b.ID), bad)
	}
	return nil
}

func (o *oldService) printVerified(a *app, v *verifyCommand, r verified, format encryptor.Format) error {
	if v.JSON {
		return json.NewEncoder(a.out).Encode(r)
	}
	word, how := a.paint(green, "ok"), "read back, decrypted and decompressed; there is no manifest to compare it with"
	if format == encryptor.Legacy {
		how += "; " + legacyText
	}
	if !r.OK {
		word = a.paint(red, "NOT GOOD")
	}
	fmt.Fprintf(a.out, "%s  %s  (%s)\n  origin: %s\n", printable(r.ID), word, how, r.Origin)
	for _, f := range r.Files {
		fmt.Fprintf(a.out, "  %s\n", printable(f.Error))
	}
	return nil
}
