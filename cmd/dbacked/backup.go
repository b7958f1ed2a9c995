package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/compress"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/encryptor"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

type backupCommand struct {
	Name string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	JSON bool   `name:"json" help:"Print the backup's manifest as JSON instead of its id."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.SealFlags
	config.TimeoutFlags
}

// Help shows examples.
func (*backupCommand) Help() string {
	return `The id of the new backup is printed when it was proved: the dump was complete, every file was stored
whole and its manifest was written. After any failure nothing of it stays.

Examples:
  dbacked backup shop
  dbacked backup --db-type pg --db-username backup --db-name shop --public-key public.pem --storage file:///srv/backups --state-directory ~/.dbacked`
}

func (b *backupCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(b.Name, config.Flags{
		CommonFlags: b.CommonFlags, DatabaseFlags: b.DatabaseFlags, StorageFlags: b.StorageFlags,
		SealFlags: b.SealFlags, TimeoutFlags: b.TimeoutFlags,
	}, config.NeedDatabase|config.NeedPublicKey|config.NeedStorage)
	if err != nil {
		return err
	}
	run, err := a.newBackup(c)
	if err != nil {
		return err
	}
	start := time.Now()
	var m *catalog.Manifest
	err = a.follow(ctx, run.Progress, func() (err error) {
		m, err = run.Run(ctx)
		return err
	})
	if err != nil {
		return err
	}
	plain, stored := totals(m)
	a.say("backed up %s %s to %s: %s of dump, %s stored, in %s", m.Engine, m.Database, c.Storage, size(plain), size(stored), duration(time.Since(start)))
	if err := catalog.WriteLast(c.StateDirectory, m.ID); err != nil {
		a.warn("the id of this backup could not be remembered: " + err.Error())
	}
	if b.JSON {
		return json.NewEncoder(a.out).Encode(m)
	}
	_, err = fmt.Fprintln(a.out, m.ID)
	return err
}

// newBackup wires the stages of a backup.
func (a *app) newBackup(c *config.Config) (*pipeline.Backup, error) {
	log := a.logger()
	db := openDatabase(c, log)
	if err := db.CheckOptions(); err != nil {
		return nil, configError(c, "%v", err)
	}
	keys, err := recipients(c)
	if err != nil {
		return nil, err
	}
	spec, err := compress.ParseSpec(c.Compression)
	if err != nil {
		return nil, configError(c, "DBACKED_COMPRESSION: %v", err)
	}
	store, err := makeStore(c)
	if err != nil {
		return nil, err
	}
	signer, err := catalog.LoadOrCreateSigner(c.StateDirectory)
	if err != nil {
		return nil, err
	}
	agentID, err := agentID(c)
	if err != nil {
		return nil, err
	}
	run := &pipeline.Backup{
		Store: store, Locker: lockFile(c), Instance: c.Instance, Signer: signer,
		Describe: describe(db), Streams: streams(db, log),
		Recipients: keys, Compression: spec, StallTimeout: c.Timeouts.Stall,
		AgentID: agentID, AgentVersion: version, Progress: new(pipeline.Progress), Log: log,
	}
	if c.Format == config.FormatLegacy {
		if len(keys) != 1 {
			return nil, configError(c, "the legacy format takes exactly one public key, and %d are given", len(keys))
		}
		run.Format = encryptor.Legacy
		run.Compression = compress.Spec{Algorithm: "gzip"}
		run.Streams = run.Streams[1:] // the former agent knows one file, the dump
	}
	return run, nil
}

func describe(db database) func(context.Context, *catalog.Manifest) error {
	return func(ctx context.Context, m *catalog.Manifest) error {
		info, err := db.Describe(ctx)
		if err != nil {
			return err
		}
		m.Engine, m.ServerVersion, m.ToolVersion, m.Database = info.Engine, info.ServerVersion, info.ToolVersion, info.Database
		return nil
	}
}

// streams are the dumps that make up a backup.
func streams(db database, log *zap.Logger) []pipeline.Stream {
	globals := func(ctx context.Context, w io.Writer) error {
		note, err := db.DumpGlobals(ctx, w)
		if err == nil && note != "" {
			log.Info(note)
		}
		return err
	}
	return []pipeline.Stream{
		{Kind: catalog.KindGlobals, Dump: globals},
		{Kind: catalog.KindDump, Dump: db.Dump},
	}
}
