package pruner

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/retention"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// retainAll applies the rules of all projects.
func (p *Pruner) retainAll(ctx context.Context) {
	all, err := p.records.Projects(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.options.Log.Error("could not look at the projects' rules", zap.Error(err))
		}
		return
	}
	for _, project := range all {
		if ctx.Err() != nil {
			return
		}
		if project.Keep.HasRule() {
			p.retain(ctx, project.ID)
		}
	}
}

// retain applies the rules of one project.
func (p *Pruner) retain(ctx context.Context, project string) {
	now := p.options.Now()
	deleted, err := p.records.Retain(ctx, project, func(project records.Project, stored []records.Backup) map[string]string {
		return p.excess(project, stored, now)
	}, now)
	if err != nil && !errors.Is(err, records.ErrNotFound) && ctx.Err() == nil {
		p.options.Log.Error("could not apply a project's rules", zap.String("project", project), zap.Error(err))
	}
	for _, b := range deleted {
		p.options.Log.Info("deleted by its project's rules", zap.String("project", project), zap.String("backup", b.ID),
			zap.String("why", b.Removal.Why), zap.Time("until", b.Removal.SweepAt))
	}
}

// excess is what the rules do not keep. A time zone that is not known is a reason to
// keep all.
func (p *Pruner) excess(project records.Project, stored []records.Backup, now time.Time) map[string]string {
	zone, err := time.LoadLocation(project.Zone)
	if err != nil {
		p.options.Log.Error("nothing is deleted: a project's time zone is not known", zap.String("project", project.Name), zap.Error(err))
		return nil
	}
	return Excess(project, zone, stored, now)
}

// Excess says which of a project's backups, the newest first, no rule keeps, and why.
func Excess(project records.Project, zone *time.Location, stored []records.Backup, now time.Time) (why map[string]string) {
	if len(stored) == 0 {
		return nil
	}
	newest := stored[0].Started
	if newest.After(now) { // a clock was set back
		newest = now
	}
	policy := project.Keep
	policy.Zone = zone
	judge := retention.NewJudge(newest, policy)
	why = map[string]string{}
	for _, b := range stored {
		if keep, _, reason := judge.Decide(b.Started); !keep {
			why[b.ID] = reason
		}
	}
	return why
}
