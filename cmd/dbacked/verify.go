package main

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
	"github.com/dbacked/dbacked/pkg/storage"
)

type verifyCommand struct {
	Name   string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Backup string `arg:"" optional:"" help:"The backup's id, or how it begins; the newest if it is left out."`
	All    bool   `name:"all" help:"Verify every backup."`
	Listed bool   `name:"listed" help:"Read nothing but the manifest: compare sizes with what the storage lists. For a host that may only write."`
	JSON   bool   `name:"json" help:"Print JSON, one object a backup."`

	config.CommonFlags
	config.StorageFlags
	config.OpenFlags
	config.TrustFlags
	fromFlags
}

// Help shows examples.
func (*verifyCommand) Help() string {
	return `With the private key all of the backup is read, decrypted and decompressed. Without it, its signature and
the sizes and checksums of what is stored are compared with the manifest, and the result says so. A host that
may only write cannot do that either: --listed compares the sizes alone.

Examples:
  dbacked verify shop
  dbacked verify shop 20261122T215643Z-7f3c2a --private-key-path private.pem
  dbacked verify shop --all --json`
}

func (v *verifyCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(v.Name, config.Flags{
		CommonFlags: v.CommonFlags, StorageFlags: v.StorageFlags, OpenFlags: v.OpenFlags, TrustFlags: v.TrustFlags,
	}, config.NeedStorage|config.WantPrivateKey)
	if err != nil {
		return err
	}
	if c, err = c.From(v.From); err != nil {
		return err
	}
	var key *rsa.PrivateKey
	if c.Keys.PrivateKey.IsSet() && !v.Listed {
		if key, err = a.privateKey(ctx, c); err != nil {
			return err
		}
	}
	old, err := openOld(ctx, c)
	if err != nil {
		return err
	}
	if old != nil {
		defer old.close()
		return old.verify(ctx, a, v, key)
	}
	return a.inEach(ctx, c, func(one *config.Config) error { return v.in(ctx, a, one, key, placeName(c, one)) })
}

// in verifies what one place holds.
func (v *verifyCommand) in(ctx context.Context, a *app, c *config.Config, key *rsa.PrivateKey, place string) error {
	chosen, removed, err := v.choose(ctx, a, c)
	if err != nil {
		return err
	}
	store, err := openStore(c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	run := &pipeline.Verify{Store: store, Key: key}
	var failed error
	for _, e := range chosen {
		if !v.Listed {
			if e, err = a.original(ctx, c, e); err != nil {
				return err
			}
		}
		if err := v.one(ctx, a, run, e, place); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if removed != "" { // whoever did that may come back; after the next backup it is not said any more
		failed = errors.Join(failed, errors.New(removed))
	}
	return failed
}

// choose finds what to verify, and says what was removed of which nothing is.
func (v *verifyCommand) choose(ctx context.Context, a *app, c *config.Config) (chosen []catalog.Entry, removed string, err error) {
	wonders := always
	if v.Listed { // by who may not read
		wonders = func([]catalog.Entry) bool { return false }
	}
	k, err := a.look(ctx, c, v.Backup, wonders)
	if err != nil {
		return nil, "", err
	}
	if all := append(k.seen, k.removed...); v.All && len(all) > 0 {
		return all, "", nil
	}
	e, err := k.pick(v.Backup, c, "verify")
	if err != nil {
		return nil, "", err
	}
	if v.Backup == "" {
		removed = k.newerRemoved(c, "restore")
	}
	return []catalog.Entry{e}, removed, nil
}

// verified is the result of one backup, as --json prints it.
type verified struct {
	ID     string         `json:"id"`
	Place  string         `json:"storage,omitempty"` // of several places, the one it was read from
	OK     bool           `json:"ok"`
	Opened bool           `json:"opened"`           // decrypted and decompressed, not only compared
	Listed bool           `json:"listed,omitempty"` // only sizes were compared, nothing was read
	Proved bool           `json:"proved"`           // whether the origin is proved
	Origin string         `json:"origin,omitempty"`
	Files  []verifiedFile `json:"files,omitempty"`

	Displaced string `json:"displaced,omitempty"` // why only an older version of the manifest is good
}

type verifiedFile struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`

	Displaced string `json:"displaced,omitempty"` // why only an older version of the file is good
}

// one verifies a backup and prints what was found; its error says that the
// backup is not good.
func (v *verifyCommand) one(ctx context.Context, a *app, run *pipeline.Verify, e catalog.Entry, place string) error {
	run.Progress = new(pipeline.Progress)
	var files []pipeline.Checked
	bad := e.Proof
	var displaced error
	if e.Displaced != nil {
		displaced = e.Displaced
	}
	if e.Manifest != nil {
		err := a.follow(ctx, run.Progress, func() (err error) {
			if v.Listed {
				files, err = run.Listed(ctx, e.Manifest)
			} else {
				files, err = run.Run(ctx, e.Manifest)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := unread(files); err != nil {
		return fmt.Errorf("backup %s may not be read from here, so whether it is good is not known: %w", e.ID, err)
	}
	result := verified{ID: e.ID, Place: place, Listed: v.Listed, Opened: run.Key != nil, Proved: e.Proof == nil}
	if e.Proof != nil {
		result.Origin = e.Proof.Error()
	}
	for _, f := range files {
		row := verifiedFile{Name: f.File.Name, Kind: f.File.Kind, OK: f.Err == nil}
		if f.Err != nil {
			row.Error = f.Err.Error()
			bad = errors.Join(bad, f.Err)
		}
		if f.Displaced != nil {
			row.Displaced = f.Displaced.Error()
			displaced = errors.Join(displaced, f.Displaced)
		}
		result.Files = append(result.Files, row)
	}
	result.OK = bad == nil
	if e.Displaced != nil {
		result.Displaced = e.Displaced.Error()
	}
	if err := v.print(a, result); err != nil {
		return err
	}
	if bad != nil {
		return fmt.Errorf("backup %s is not good: %w", e.ID, bad)
	}
	if displaced != nil { // whoever did that may come back
		return fmt.Errorf("backup %s is good, and a restore finds it, but only in older versions of what is stored: %w", e.ID, displaced)
	}
	return nil
}

// unread is why nothing of a backup could be read, if that is a right that is missing;
// of the backup it says nothing.
func unread(files []pipeline.Checked) error {
	for _, f := range files {
		if !errors.Is(f.Err, storage.ErrForbidden) {
			return nil
		}
	}
	if len(files) == 0 {
		return nil
	}
	return files[0].Err
}

func (v *verifyCommand) print(a *app, r verified) error {
	if v.JSON {
		return json.NewEncoder(a.out).Encode(r)
	}
	how := "stored sizes, checksums and signature compared; not decrypted, since no private key is given"
	switch {
	case r.Listed:
		how = "signature, and sizes as the storage lists them, compared; nothing was read"
	case r.Opened:
		how = "read back, decrypted, decompressed and compared with its manifest"
	}
	word := a.paint(green, "ok")
	if !r.OK {
		word = a.paint(red, "NOT GOOD")
	}
	fmt.Fprintf(a.out, "%s  %s  (%s)\n", r.ID, word, how)
	if !r.Proved {
		fmt.Fprintf(a.out, "  origin: %s\n", r.Origin)
	}
	if r.Displaced != "" {
		fmt.Fprintf(a.out, "  %s\n", r.Displaced)
	}
	for _, f := range r.Files {
		if !f.OK {
			fmt.Fprintf(a.out, "  %s (%s): %s\n", f.Name, f.Kind, f.Error)
		}
		if f.Displaced != "" {
			fmt.Fprintf(a.out, "  %s\n", f.Displaced)
		}
	}
	return nil
}
