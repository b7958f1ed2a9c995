package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/catalog"
	"github.com/dbacked/dbacked/pkg/config"
	"github.com/dbacked/dbacked/pkg/locker"
)

type pruneCommand struct {
	Name   string `arg:"" help:"The instance, as in /etc/dbacked/NAME.env."`
	DryRun bool   `name:"dry-run" help:"Remove nothing: only show what would go, and why."`
	Force  bool   `name:"force" help:"Remove even when so many go at once that it looks like a mistake."`
	JSON   bool   `name:"json" help:"Print JSON, one object a backup."`

	config.CommonFlags
	config.StorageFlags
	config.TrustFlags
	config.KeepFlags
	fromFlags
}

// Help shows examples.
func (*pruneCommand) Help() string {
	return `What a rule keeps stays, the rest goes; days and weeks are those of DBACKED_TIMEZONE, dates those of the storage. The newest good backup always stays. A backup whose origin is not proved, that is damaged, or that the storage dates into the future counts for no rule, and nothing is removed while there is one. More than ten at once, more than half of all, or copies whose dates are not their own take --force. What the storage has locked is left. In a bucket, what killed runs left is removed too, as by a backup before it begins.

Examples:
  dbacked prune shop --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run
  dbacked prune shop
  dbacked prune shop --dry-run --json | jq -r 'select(.action == "remove").id'`
}

func (p *pruneCommand) Run(ctx context.Context, a *app) error {
	c, err := a.load(p.Name, config.Flags{
		CommonFlags: p.CommonFlags, StorageFlags: p.StorageFlags, TrustFlags: p.TrustFlags, KeepFlags: p.KeepFlags,
	}, config.NeedStorage|config.NeedRetention|config.NeedLock)
	if err != nil {
		return err
	}
	if err := ownStorage(c, "prune", "removes by the rules of its project: dbacked-server project set"); err != nil {
		return err
	}
	from, err := c.From(p.From)
	if err != nil {
		return err
	}
	var lease *locker.Lease
	if !p.DryRun { // from before the backups are looked at, so that they stay as they are seen
		var locked context.Context
		var release func()
		if locked, release, lease, err = a.lockFor(ctx, c); err != nil {
			return err
		}
		defer release()
		ctx = locked
	}
	return a.inEach(ctx, from, func(one *config.Config) error { return p.in(ctx, a, one, leaseIn(c, one, lease), placeName(from, one)) })
}

// in prunes one place.
func (p *pruneCommand) in(ctx context.Context, a *app, c *config.Config, lease *locker.Lease, place string) error {
	store, err := openStore(c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	plan, done, failed := p.prune(ctx, c, store)
	if len(plan.Decisions) == 0 && failed == nil {
		a.say("no backups of %s in %s yet: dbacked backup %s", c.Instance, c.Storage, c.Instance)
		return nil
	}
	rows := p.rows(plan, done, place)
	if err := p.print(a, rows, c.Retention.Zone); err != nil {
		return err
	}
	p.summarize(a, c, rows)
	if failed != nil || p.DryRun {
		return failed
	}
	if left := leftovers(c, store, lease, a.logger()); left.OrphanAge > 0 {
		return left.Remove(ctx) // the host that left them there may not be able to
	}
	return nil
}

// prune plans and, unless this is a dry run, carries the plan out. Its error of
// a dry run is the one that the run would end with.
func (p *pruneCommand) prune(ctx context.Context, c *config.Config, store depot) (catalog.Pruning, []catalog.Pruned, error) {
	t, err := trust(c)
	if err != nil {
		return catalog.Pruning{}, nil, err
	}
	backups, err := catalog.Survey(ctx, store, c.Instance, t)
	if err != nil {
		return catalog.Pruning{}, nil, err
	}
	plan := catalog.Plan(time.Now(), backups, policy(c))
	if p.DryRun {
		return plan, nil, plan.Allowed(p.Force)
	}
	done, err := catalog.Prune(ctx, store, c.Instance, plan, p.Force)
	return plan, done, err
}

// policy is which backups the settings keep.
func policy(c *config.Config) catalog.Policy {
	r := c.Retention
	return catalog.Policy{
		KeepLast: r.Last, Daily: r.Daily, Weekly: r.Weekly, Monthly: r.Monthly, Yearly: r.Yearly,
		For: r.For, Minimum: r.Minimum, Zone: r.Zone,
	}
}

// summarize says in a line what was done, or would be.
func (p *pruneCommand) summarize(a *app, c *config.Config, rows []prunedRow) {
	counts, freed := map[string]int{}, int64(0)
	for _, row := range rows {
		counts[row.Result]++
		if row.Result == string(catalog.ResultRemoved) || p.DryRun && row.Action == string(catalog.ActionRemove) {
			freed += row.Stored
		}
		if row.Error != "" {
			a.warn(fmt.Sprintf("backup %s: %s: %s", row.ID, row.Result, row.Error))
		}
	}
	gone, verb := counts[string(catalog.ResultRemoved)], "removed"
	if p.DryRun {
		gone, verb = counts[string(catalog.ActionRemove)], "a dry run removes nothing; would remove"
	}
	a.say("%s %d of %d backups of %s, %s", verb, gone, len(rows), c.Instance, size(freed))
}
