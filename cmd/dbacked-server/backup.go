package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/dbacked/dbacked/pkg/server/records"
)

type backupCommand struct {
	List     backupList     `cmd:"" help:"List a project's backups, also those that failed, and those that are no more."`
	Delete   backupDelete   `cmd:"" help:"Delete backups: nobody sees them any more, and their files are removed after the project's grace."`
	Undelete backupUndelete `cmd:"" help:"Take back that a backup was deleted, while its files are there, and keep it."`
	Keep     backupKeep     `cmd:"" help:"Keep backups, whatever the project's rules say."`
	Release  backupRelease  `cmd:"" help:"Keep backups no longer than the project's rules say."`
}

type backupList struct {
	dataFlags
	Project string `arg:"" help:"The project."`
	Limit   int    `name:"limit" default:"100" help:"List at most so many, the newest."`
	JSON    bool   `name:"json" help:"Print JSON, one object a backup."`
}

// backup is what is printed of one.
type backup struct {
	ID           string     `json:"id"`
	State        string     `json:"state"` // how it ended: what became of it then is in the rest
	AgentID      string     `json:"agentId"`
	AgentVersion string     `json:"agentVersion"`
	DBType       string     `json:"dbType"`
	Due          time.Time  `json:"due"`
	Started      time.Time  `json:"started"`
	Finished     *time.Time `json:"finished,omitempty"`
	Size         int64      `json:"size"`
	Error        string     `json:"error,omitempty"`

	Kept         bool       `json:"kept"`
	Removal      string     `json:"removal,omitempty"` // deleted, removing, removed
	DeletedAt    *time.Time `json:"deletedAt,omitempty"`
	DeletedBy    string     `json:"deletedBy,omitempty"`
	DeletedWhy   string     `json:"deletedWhy,omitempty"`
	RemoveAfter  *time.Time `json:"removeAfter,omitempty"` // its files
	RemovedAt    *time.Time `json:"removedAt,omitempty"`
	RemovalError string     `json:"removalError,omitempty"`
}

func shownBackup(b records.Backup) backup {
	m := b.Removal
	s := backup{
		ID: b.ID, State: b.State, AgentID: b.AgentID, AgentVersion: b.AgentVersion, DBType: b.DBType,
		Due: b.Due.UTC(), Started: b.Started.UTC(), Finished: moment(b.Finished), Size: b.Size, Error: b.Error,
		Kept: m.Kept, Removal: m.Phase, DeletedAt: moment(m.Deleted), DeletedBy: m.By, DeletedWhy: m.Why,
		RemovedAt: moment(m.Removed), RemovalError: m.Error,
	}
	if m.Phase == "" || m.Phase == records.PhaseDeleted {
		s.RemoveAfter = moment(m.SweepAt)
	}
	return s
}

// moment is a time that may be none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// standing is a backup's state, and what became of it then, in a few words.
func standing(b records.Backup) string {
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

func (k *backupList) Run(ctx context.Context, a *app) error {
	r, p, err := k.project(ctx, k.Project)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	all, err := r.Backups(ctx, p.ID, nil, k.Limit)
	if err != nil {
		return err
	}
	return list(a, k.JSON, all, shownBackup, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tSTATE\tSTARTED\tSIZE\tAGENT\tERROR")
		for _, b := range all {
			wrong := b.Error
			if b.Removal.Error != "" {
				wrong = "its files stay: " + b.Removal.Error
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.80q\n", b.ID, standing(b), b.Started.UTC().Format(time.DateTime), humanize.IBytes(uint64(max(b.Size, 0))), b.AgentID, wrong)
		}
	})
}
