package main

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
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
	Here bool   `name:"here" help:"Make the backup in this process, also when an agent of the instance runs."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.SealFlags
	config.TimeoutFlags
	config.JobsFlags
	config.SnapshotFlags
	runFlags
}

// Help shows examples.
func (*backupCommand) Help() string {
	return `The id of the new backup is printed when it was proved: the dump was complete, every file was stored
whole and its manifest was written. After any failure nothing of it stays. Of several places
(DBACKED_STORAGE), one that fails is left out: then the backup is in the others, its id is printed all the
same, and the status is 74.

When an agent of the instance runs, it makes the backup, and this command follows; with --here, or with
any setting given as a flag or in the environment, this process does.

Examples:
  dbacked backup shop
  dbacked backup --db-type pg --db-username backup --db-name shop --public-key public.pem --storage file:///srv/backups --state-directory ~/.dbacked`
}

func (b *backupCommand) flags() config.Flags {
	return config.Flags{
		CommonFlags: b.CommonFlags, DatabaseFlags: b.DatabaseFlags, StorageFlags: b.StorageFlags,
		SealFlags: b.SealFlags, TimeoutFlags: b.TimeoutFlags, JobsFlags: b.JobsFlags, SnapshotFlags: b.SnapshotFlags,
	}
}

func (b *backupCommand) Run(ctx context.Context, a *app) error {
	if b.Name != "" && !b.Here && reflect.ValueOf(b.flags()).IsZero() && !a.configured() {
		err := b.askAgent(ctx, a, newRunningAgent(b.RunDirectory, b.Name))
		if !errors.Is(err, errNotRunning) {
			return err
		}
	}
	return b.here(ctx, a)
}

// configured tells whether the environment holds settings, which a running agent
// would not know of.
func (a *app) configured() bool {
	return slices.ContainsFunc(a.environ, func(assignment string) bool { return strings.HasPrefix(assignment, "DBACKED_") })
}

// here makes the backup in this process.
func (b *backupCommand) here(ctx context.Context, a *app) error {
	c, err := a.load(b.Name, b.flags(), config.NeedDatabase|config.NeedPublicKey|config.NeedStorage)
	if err != nil {
		return err
	}
	start, progress := time.Now(), new(pipeline.Progress)
	var m *catalog.Manifest
	err = a.follow(ctx, progress, func() (err error) {
		m, err = a.makeBackup(ctx, c, progress, a.logger())
		return err
	})
	partial, _ := errors.AsType[*pipeline.PartialError](err)
	if err != nil && partial == nil {
		return err
	}
	to := c.Places.String()
	if partial != nil {
		to = strings.Join(partial.Proved, " and ") + " ALONE"
	}
	plain, stored := totals(m)
	a.say("backed up %s %s to %s: %s of dump, %s stored, in %s", m.Engine, m.Database, to, size(plain), size(stored), duration(time.Since(start)))
	if err := rememberLast(c, m); err != nil {
		a.warn("the id of this backup could not be remembered: " + err.Error())
	}
	if failed := b.print(a, m, placeResults(c, err)); failed != nil {
		return failed
	}
	return err
}

// makeBackup makes a backup at once.
func (a *app) makeBackup(ctx context.Context, c *config.Config, progress *pipeline.Progress, log *zap.Logger) (*catalog.Manifest, error) {
	if c.Storage.IsService() {
		return a.backupNow(ctx, c, progress, log)
	}
	run, closeStore, err := a.newBackup(c, log)
	if err != nil {
		return nil, err
	}
	defer closeStore()
	run.Progress = progress
	return run.Run(ctx)
}

// print prints a backup, and of several places in which it is.
func (b *backupCommand) print(a *app, m *catalog.Manifest, places []placeResult) error {
	if b.JSON {
		return json.NewEncoder(a.out).Encode(struct {
			*catalog.Manifest
			Places []placeResult `json:"places,omitempty"`
		}{m, places})
	}
	_, err := fmt.Fprintln(a.out, printable(m.ID)) // an old service chose it
	return err
}

// printID is print for a backup that an agent made.
func (b *backupCommand) printID(ctx context.Context, a *app, id string, places []placeResult) error {
	if !b.JSON {
		return b.print(a, &catalog.Manifest{ID: id}, nil)
	}
	c, err := a.load(b.Name, b.flags(), config.NeedStorage)
	if err != nil {
		return err
	}
	old, err := openOld(ctx, c)
	if err != nil {
		return err
	}
	if old != nil {
		defer old.close()
		return old.printMade(a.out, id)
	}
	t, err := trust(c)
	if err != nil {
		return err
	}
	var e catalog.Entry
	_, err = a.answering(ctx, c, func(one *config.Config) error {
		store, err := openStore(one)
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		e, err = catalog.Load(ctx, store, one.Instance, id, t)
		return err
	})
	if err == nil {
		err = e.Proof
	}
	if err != nil {
		return err
	}
	return b.print(a, e.Manifest, places)
}

// newRun wires the stages of a backup, but for what has to do with where it goes.
func (a *app) newRun(c *config.Config, log *zap.Logger) (*dumpRun, error) {
	db := openDatabase(c, log)
	sealing, err := a.newSealing(c, db)
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
		Instance: c.Instance, Signer: signer, Describe: describe(db), Streams: streams(db, log),
		Recipients: sealing.recipients, Format: sealing.format, Compression: sealing.compression, StallTimeout: c.Timeouts.Stall,
		AgentID: agentID, AgentVersion: version, Progress: new(pipeline.Progress), Log: log,
	}
	run.UploadRate, run.UploadBudget = c.Storage.Upload.Rate, c.Storage.Upload.Memory
	if sealing.format == encryptor.Legacy {
		run.Streams = run.Streams[1:] // the former agent knows one file, the dump
	}
	return &dumpRun{run, inParts(c, db, run, log)}, nil
}

// newBackup wires a backup into storages of one's own. The function lets go of them.
func (a *app) newBackup(c *config.Config, log *zap.Logger) (*dumpRun, func(), error) {
	run, err := a.newRun(c, log)
	if err != nil {
		return nil, nil, err
	}
	store, err := makeStore(among(c, c.Storage))
	if err != nil {
		return nil, nil, inFirst(c, err)
	}
	lock, lease := lock(c, store, log)
	run.Store, run.Locker = store, lock
	left := leftovers(c, store, lease, log)
	run.Lease, run.OrphanAge = left.Lease, left.OrphanAge
	closeOthers := func() {}
	if several(c) {
		run.Store, closeOthers = spread(c, store)
		run.First, run.OthersAge = c.Storage.String(), cmp.Or(c.OrphanAge(), orphanAge)
	}
	return run, func() { closeOthers(); _ = store.Close() }, nil
}

// inFirst says of an error in the first of several places what hangs on it.
func inFirst(c *config.Config, err error) error {
	if !several(c) {
		return err
	}
	return fmt.Errorf("%s, the first place, which holds the lock: %w", c.Storage, err)
}

// sealing is how files are written.
type sealing struct {
	recipients  []*rsa.PublicKey
	format      encryptor.Format
	compression compress.Spec
}

// newSealing checks all of the configuration that needs neither a server nor a
// store.
func (a *app) newSealing(c *config.Config, db database) (s sealing, err error) {
	if err := db.CheckOptions(); err != nil {
		return s, configError(c, "%v", err)
	}
	if c.Keys.PublicKeys != "" { // else the project of a service has one
		if s.recipients, err = recipients(c); err != nil {
			return s, err
		}
	}
	if s.compression, err = compress.ParseSpec(c.Compression); err != nil {
		return s, configError(c, "DBACKED_COMPRESSION: %v", err)
	}
	if c.Format != config.FormatLegacy {
		return s, nil
	}
	if c.Keys.PublicKeys != "" && len(s.recipients) != 1 {
		return s, configError(c, "the legacy format takes exactly one public key, and %d are given", len(s.recipients))
	}
	s.format, s.compression = encryptor.Legacy, compress.Spec{Algorithm: compress.Gzip}
	return s, nil
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
