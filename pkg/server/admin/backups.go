package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Standing is a backup's state, and what became of it then, in a few words.
func Standing(b records.Backup) string {
	switch m := b.Removal; {
	case m.Phase == records.PhaseDeleted:
		return "deleted until " + m.SweepAt.UTC().Format(time.DateTime)
	case m.Phase != "" && b.State == records.StateDone:
		return m.Phase
	case m.Phase != "":
		return b.State + ", " + m.Phase
	case m.Kept:
		return b.State + ", kept"
	}
	return b.State
}

// DeleteBackup deletes a backup: nobody sees it any more, and its files are removed
// after the project's grace, or now.
func (a *Admin) DeleteBackup(ctx context.Context, p records.Project, id, why string, last, now bool) (records.Backup, error) {
	if err := labelled("why", why); err != nil {
		return records.Backup{}, err
	}
	b, err := a.records.DeleteBackup(ctx, p.ID, id, records.Deletion{Actor: a.actor, Why: why, Last: last, Now: now}, a.now())
	return b, notDeleted(p, id, b, err)
}

// UndeleteBackup takes that back, while the files are there, and keeps the backup.
func (a *Admin) UndeleteBackup(ctx context.Context, p records.Project, id string) (records.Backup, error) {
	b, err := a.records.UndeleteBackup(ctx, p.ID, id, a.actor, a.now())
	return b, notDeleted(p, id, b, err)
}

// KeepBackup says whether a backup is kept whatever the project's rules say.
func (a *Admin) KeepBackup(ctx context.Context, p records.Project, id string, kept bool) (records.Backup, error) {
	b, err := a.records.KeepBackup(ctx, p.ID, id, a.actor, kept, a.now())
	return b, notDeleted(p, id, b, err)
}

// notDeleted says why something cannot be done with a backup, and what can.
func notDeleted(p records.Project, id string, b records.Backup, err error) error {
	refuse := func(format string, args ...any) error {
		return &Refused{Kind: KindBackup, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case errors.Is(err, records.ErrNotFound):
		return &NotFound{Kind: KindBackup, Name: id}
	case errors.Is(err, records.ErrNotDone):
		return refuse("backup %s is %s, not done: what is stored of a failed or lost one is removed by itself", id, b.State)
	case errors.Is(err, records.ErrLast):
		return refuse("backup %s is the last good one of project %s: say last (--last) to delete it all the same", id, p.Name)
	case errors.Is(err, records.ErrKept):
		return refuse("backup %s is kept: release it first", id)
	case errors.Is(err, records.ErrRemoved):
		return refuse("backup %s is %s: its files are removed, or are to be", id, Standing(b))
	}
	return err
}
