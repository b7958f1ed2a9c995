package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/pipeline"
)

type restoreCommand struct {
	Name       string `arg:"" optional:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	Backup     string `arg:"" optional:"" help:"The backup's id, or how it begins. Left out: a list to pick from on a terminal, else the newest."`
	LastBackup bool   `name:"last-backup" help:"Take the newest backup without asking which."`

	RawInput  bool `name:"raw-input" help:"Read an encrypted file from standard input instead of the storage."`
	RawOutput bool `name:"raw-output" help:"Write the decrypted dump to standard output instead of a database."`

	Table []string `name:"table" placeholder:"TABLE" sep:"none" help:"Restore this table alone, for PostgreSQL as schema.name; * and ? stand for more, and names may be quoted. Repeatable."`

	NewDatabase  bool `name:"new-database" help:"Restore beside the database, into a new one that takes its name when all is well; the old one is kept under another name. PostgreSQL only."`
	Create       bool `name:"create" help:"Create the database first, with the encoding, locale, settings and grants it had."`
	CreateRoles  bool `name:"create-roles" xor:"roles" help:"Create the roles that are missing, without login."`
	Globals      bool `name:"globals" xor:"roles" help:"Create the roles that are missing as they were, with what passwords the backup holds."`
	NoOwner      bool `name:"no-owner" help:"Let everything belong to the user who restores."`
	NoPrivileges bool `name:"no-privileges" help:"Leave grants out."`

	RunAs string `name:"run-as" placeholder:"USER" help:"User of this machine to act as, and to connect as unless --db-username says otherwise: for peer authentication, as postgres. Only root can."`

	Jobs int `name:"jobs" placeholder:"N" help:"Parts of a backup that was made in parallel to restore at once, into a database that the restore makes. Default: DBACKED_JOBS, or else half the cores, at least 2."`

	Force                bool `name:"force" help:"Restore into a database that is not empty, replacing what the backup holds too. With --table: into tables that have rows, which are removed first. With --new-database: end the sessions that are connected to the old one."`
	AcceptUnprovedOrigin bool `name:"accept-unproved-origin" help:"Restore although nothing proves who made the backup. What it holds is run as SQL."`
	Yes                  bool `name:"yes" short:"y" help:"Do not ask."`

	config.CommonFlags
	config.DatabaseFlags
	config.StorageFlags
	config.OpenFlags
	config.TrustFlags
	config.TimeoutFlags
	fromFlags
}

// Help shows examples.
func (*restoreCommand) Help() string {
	return `What is about to happen is shown, and asked about, before anything is written. The --db flags choose
another database, host or user than the backup came from.

With --table, single tables come back into a database that need not be empty; if that fails, nothing was
changed. One that is there must have no rows, or --force, and gets its rows alone, in one transaction; its
sequences keep their values. Another one is made. Of PostgreSQL, what it needs is made too, and a foreign key,
a trigger or a partition whose other end is not there is left out and named. Of MySQL and MariaDB, foreign keys
are not checked meanwhile, and a table that is there must be InnoDB's, with the backup's columns and no
triggers that its rows would run. Of a backup that was made in parallel, the files that hold no such table are
not read.

Examples:
  dbacked restore shop --private-key-path private.pem
  sudo dbacked restore shop --run-as postgres --create --private-key-path private.pem
  dbacked restore shop 20261122T215643Z-7f3c2a --db-name shop_copy --create
  dbacked restore shop --new-database --private-key-path private.pem
  dbacked restore shop --from s3 --private-key-path private.pem
  dbacked restore shop --table public.orders --private-key-path private.pem
  dbacked restore shop --table 'public.order_*' --table '"My Schema"."My Table"' --db-name shop_copy
  dbacked restore shop --table 'order_*' --table '"My Table"' --db-name shop_copy
  dbacked restore shop --last-backup --raw-output -y > shop.dump
  dbacked restore --raw-input --db-type pg --db-username postgres --db-name shop --private-key-path private.pem --accept-unproved-origin < 0001.dbacked`
}

func (r *restoreCommand) Run(ctx context.Context, a *app) error {
	a.runAs = r.RunAs
	if err := r.check(); err != nil {
		return err
	}
	asPeer := r.RunAs != "" && r.DBUsername == ""
	if asPeer {
		r.DBUsername = r.RunAs
	}
	c, err := a.load(r.Name, config.Flags{
		CommonFlags: r.CommonFlags, DatabaseFlags: r.DatabaseFlags, StorageFlags: r.StorageFlags,
		OpenFlags: r.OpenFlags, TrustFlags: r.TrustFlags, TimeoutFlags: r.TimeoutFlags,
	}, r.need())
	if err != nil {
		return err
	}
	if asPeer {
		c.Database.Password = config.Secret{} // it is another user's
	}
	if r.RawInput {
		return r.fromInput(ctx, a, c)
	}
	return r.fromStore(ctx, a, c)
}

// check refuses flags that contradict each other.
func (r *restoreCommand) check() error {
	switch {
	case r.NewDatabase && r.Create:
		return &usageError{errors.New("--new-database makes a database and puts it in the place of one that is there, --create makes one that is not: choose one of them")}
	case r.NewDatabase && r.RawOutput:
		return &usageError{errors.New("--raw-output writes no database: leave --new-database out")}
	case r.Jobs < 0:
		return &usageError{fmt.Errorf("--jobs is %d: it is how many parts are restored at once, at least 1", r.Jobs)}
	}
	return r.checkTables()
}

// need is what must be configured.
func (r *restoreCommand) need() config.Need {
	need := config.NeedPrivateKey
	if !r.RawInput {
		need |= config.NeedStorage
	}
	if !r.RawOutput {
		need |= config.NeedDatabase
	}
	return need
}

// fromStore restores a backup that lies in the storage.
func (r *restoreCommand) fromStore(ctx context.Context, a *app, c *config.Config) error {
	c, err := c.From(r.From)
	if err != nil {
		return err
	}
	old, err := openOld(ctx, c)
	if err != nil {
		return err
	}
	if old != nil {
		defer old.close()
		if len(r.Table) > 0 {
			return &refusedError{errors.New("the former service's backups are restored as a whole: under another --db-name, from which the table can be copied")}
		}
		return old.restore(ctx, a, r)
	}
	var e catalog.Entry
	all := c
	c, err = a.answering(ctx, all, func(one *config.Config) error {
		e, err = r.choose(ctx, a, one, len(all.Places) == 1)
		return err
	})
	if err != nil {
		return err
	}
	if len(all.Places) > 1 {
		a.say("from %s", c.Storage)
		a.warnIfBehind(ctx, all, e, r.Backup == "")
	}
	if err := r.proveOrigin(a, e); err != nil {
		return err
	}
	if e.Displaced != nil {
		a.warn(e.Displaced.Error())
	}
	a.warnIfLegacy(e.Manifest)
	split := e.Manifest.Version == catalog.LayoutSplit
	if split && r.RawOutput {
		return &refusedError{fmt.Errorf("backup %s was made in parallel: it has no one dump that could be written, only parts; restore it into a database (--create), and dump that", e.ID)}
	}
	files, err := a.openFiles(ctx, c, e)
	if err != nil {
		return err
	}
	defer files.close()
	if r.RawOutput {
		dump, err := dumpOf(e.Manifest)
		if err != nil {
			return err
		}
		run := files.restore(*dump)
		run.Progress = new(pipeline.Progress)
		return r.toOutput(ctx, a, run)
	}
	t := &target{app: a, config: c, options: r, manifest: e.Manifest, db: openDatabase(c, a.logger())}
	if err := t.fromFiles(ctx, files); err != nil {
		return err
	}
	if !files.proved {
		return nil // who can write one backup could pretend to have seen any
	}
	if r.RunAs != "" {
		return nil // that user cannot write there, and the service remembers its own
	}
	if err := catalog.WriteLast(c.StateDirectory, e.ID); err != nil {
		a.warn("the id of this backup could not be remembered: " + err.Error())
	}
	return nil
}

// fromFiles restores the files of a backup, or some tables of them.
func (t *target) fromFiles(ctx context.Context, files *backupFiles) (err error) {
	if t.globals, err = files.globals(ctx); err != nil {
		return err
	}
	if len(t.options.Table) > 0 {
		return t.restoreTables(ctx, files)
	}
	dump, err := files.dump(ctx, cmp.Or(t.options.Jobs, t.config.Parallel.Jobs))
	if err != nil {
		return err
	}
	return t.restore(ctx, dump)
}

// choose finds the backup to restore.
func (r *restoreCommand) choose(ctx context.Context, a *app, c *config.Config, warn bool) (catalog.Entry, error) {
	k, err := a.look(ctx, c, r.Backup, always)
	if err != nil {
		return catalog.Entry{}, err
	}
	if warn {
		a.warnIfOlder(c, k.seen)
	}
	// Those that somebody removed come last: the first is what a person gets who
	// does not look.
	offered := append(slices.Clone(k.seen), k.removed...)
	var e catalog.Entry
	asks := r.Backup == "" && !r.LastBackup && !r.Yes && a.asks && len(offered) > 1
	if asks {
		a.sayRemoved(c, k, "restore")
		e, err = a.pickFrom(ctx, offered)
	} else {
		e, err = k.pick(r.Backup, c, "restore")
	}
	if err != nil {
		return e, err
	}
	if r.Backup == "" && !asks {
		a.sayRemoved(c, k, "restore")
		a.sayGood(c, k, e)
	}
	if e.Manifest == nil {
		return e, e.Proof
	}
	return a.original(ctx, c, e)
}

// sayGood says which is the newest backup that can be restored, when that is not
// the newest one: the older one is taken by nobody who did not ask for it.
func (a *app) sayGood(c *config.Config, k kept, e catalog.Entry) {
	if good := newestGood(k.seen); e.Proof != nil && good != nil {
		a.warn(fmt.Sprintf("the newest backup whose origin is proved is %s: dbacked restore %s %s", good.ID, c.Instance, good.ID))
	}
}

// warnIfBehind is warnIfOlder for several places, and says when the newest backup
// was asked for and another place has a newer one than the first that answered.
func (a *app) warnIfBehind(ctx context.Context, c *config.Config, e catalog.Entry, newest bool) {
	var all []catalog.Entry
	for _, s := range c.Places {
		entries, err := a.entries(ctx, c.At(s))
		if err != nil || len(entries) == 0 { // it is asked out of caution only
			continue
		}
		all = append(all, entries...)
		if newest && entries[0].ID > e.ID {
			a.warn(fmt.Sprintf("%s has a newer backup, %s: --from %s restores that", s, entries[0].ID, s))
		}
	}
	a.warnIfOlder(c, all)
}

// warnIfOlder says when this host has seen a newer backup than there is now:
// no signature shows that an older set of backups was put in place of the
// newer one.
func (a *app) warnIfOlder(c *config.Config, entries []catalog.Entry) {
	last, err := catalog.ReadLast(c.StateDirectory)
	if err != nil || last == "" {
		return
	}
	for _, e := range entries {
		if e.ID >= last {
			return
		}
	}
	a.warn(fmt.Sprintf("this host has seen backup %s, and nothing as new is there now: newer backups were removed, or an older set is shown", last))
}

// proveOrigin lets a backup pass whose origin is proved or need not be.
func (r *restoreCommand) proveOrigin(a *app, e catalog.Entry) error {
	switch {
	case e.Proof == nil:
		return nil
	case e.Manifest == nil:
		return e.Proof
	case r.AcceptUnprovedOrigin:
		a.warn(e.Proof.Error() + "; going on, as --accept-unproved-origin says")
		return nil
	}
	return fmt.Errorf("backup %s: %w", e.ID, e.Proof)
}

// toOutput writes the decrypted dump to standard output.
func (r *restoreCommand) toOutput(ctx context.Context, a *app, run *pipeline.Restore) error {
	if a.shown {
		return &usageError{errors.New("--raw-output would write a dump to the terminal: send it to a file or a program")}
	}
	start := time.Now()
	run.Target = copyTo(a.out)
	if err := a.follow(ctx, run.Progress, func() error { return run.Run(ctx) }); err != nil {
		return err
	}
	a.say("wrote %s of dump, whole and authentic, in %s", size(run.Progress.Snapshot().Plain), duration(time.Since(start)))
	return nil
}
