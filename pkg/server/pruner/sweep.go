package pruner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// sweep removes what is to be removed now.
func (p *Pruner) sweep(ctx context.Context, turn records.Turn) {
	tried, failures := map[[2]string]bool{}, 0
	for ctx.Err() == nil && failures < mostFailures {
		all, err := p.records.ToSweep(ctx, p.options.Now(), batch)
		if err != nil {
			if ctx.Err() == nil {
				p.options.Log.Error("could not look for what is to be removed", zap.Error(err))
			}
			return
		}
		fresh := false
		for _, b := range all {
			name := [2]string{b.ProjectID, b.ID}
			if tried[name] || failures >= mostFailures || ctx.Err() != nil {
				continue
			}
			fresh, tried[name] = true, true
			if p.remove(ctx, turn, b) {
				failures = 0
			} else {
				failures++
			}
		}
		if !fresh {
			return
		}
	}
}

// remove removes a backup's files, if they are this replica's to remove. It says
// whether the store may be asked for more.
func (p *Pruner) remove(ctx context.Context, turn records.Turn, b records.Backup) bool {
	now := p.options.Now()
	claimed, ok, err := p.records.ClaimSweep(ctx, b, now.Add(claimLimit), turn.Since, now)
	switch {
	case errors.Is(err, records.ErrNotFound): // the project was removed meanwhile
		return true
	case err != nil:
		if ctx.Err() == nil {
			p.options.Log.Error("could not begin to remove a backup's files", zap.String("backup", b.ID), zap.Error(err))
		}
		return false
	case !ok:
		return true
	}
	b, err = p.removeFiles(ctx, claimed)
	if err == nil {
		// They are gone, whether or not the service is told to stop now.
		note, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteLimit)
		defer cancel()
		err = p.records.Swept(note, b, p.options.Now())
	}
	switch {
	case err == nil:
		if b.Removal.Phase == records.PhaseRemoving {
			p.options.Log.Info("removed", zap.String("project", b.ProjectID), zap.String("backup", b.ID), zap.String("state", b.State))
		}
		return true
	case errors.Is(err, records.ErrTurn):
		return true // another goes on
	}
	p.failed(ctx, b, claimed.Removal.Error, err)
	return ctx.Err() != nil
}

// removeFiles removes the manifest first, which is the last one: what is left then is no
// backup.
func (p *Pruner) removeFiles(ctx context.Context, b records.Backup) (records.Backup, error) {
	all, err := p.records.Files(ctx, b.ProjectID, b.ID)
	if err != nil {
		return b, err
	}
	for _, f := range slices.Backward(all) {
		if b, err = p.records.RenewSweep(ctx, b, p.options.Now().Add(claimLimit)); err != nil {
			return b, err
		}
		if err := p.removeFile(ctx, f); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (p *Pruner) removeFile(ctx context.Context, f records.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fileLimit, fmt.Errorf("the file %d took more than %s", f.Number, fileLimit))
	defer cancel()
	return p.files.Remove(ctx, files.Ref{Project: f.ProjectID, Backup: f.BackupID, Number: f.Number}, f.Upload)
}

// failed says once that a removal does not work, and lets the next turn try it.
func (p *Pruner) failed(ctx context.Context, b records.Backup, before string, err error) {
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteLimit)
	defer cancel()
	reason := err.Error()
	if ctx.Err() != nil {
		reason = before // it was only told to stop
	} else if before == "" {
		p.options.Log.Error("the files of a backup could not be removed; it is tried again at each turn",
			zap.String("project", b.ProjectID), zap.String("backup", b.ID), zap.Error(err))
	}
	if noted := p.records.PutOffSweep(note, b, reason, p.options.Now()); noted != nil && !errors.Is(noted, records.ErrTurn) {
		p.options.Log.Error("could not note that a removal failed", zap.String("backup", b.ID), zap.Error(noted))
	}
}
