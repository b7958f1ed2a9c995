package admin

import (
	"time"

	"github.com/dbacked/dbacked/pkg/server/records"
)

// Project is what is shown of one.
type Project struct {
	ID         string     `json:"id" example:"019af0c4-7d1e-7c43-9c52-6f8f8e1a0b11" doc:"Its id, which never changes."`
	Name       string     `json:"name" example:"shop"`
	Schedule   string     `json:"schedule" example:"0 2 * * *" doc:"When backups are due."`
	Timezone   string     `json:"timezone" example:"Europe/Paris" doc:"Time zone of the schedule."`
	NextDue    *time.Time `json:"nextDue,omitempty" doc:"When the next backup is due; in the past, if one is due. None: never."`
	PublicKey  string     `json:"publicKey,omitempty" doc:"Public key (PEM) that backups are encrypted for; none, if the agents have it."`
	Restores   bool       `json:"agentsRestore" doc:"Whether agents' keys may read backups too."`
	Retention  Kept       `json:"retention" doc:"Which backups are kept."`
	LastSeen   *time.Time `json:"lastSeen,omitempty" doc:"When an agent asked for a backup. None: no agent ever did."`
	LastBackup *Done      `json:"lastBackup,omitempty" doc:"The backup that was done last."`
	UnderWay   *UnderWay  `json:"underWay,omitempty" doc:"The backup that an agent makes now."`
	OpenAlerts int        `json:"openAlerts" example:"0" doc:"How many alerts are open."`
	APIKey     string     `json:"apikey,omitempty" doc:"The agents' first key: once, where the project is made."`
}

// Done is a backup that was done, in short.
type Done struct {
	ID       string    `json:"id" example:"20261122T215643Z-7f3c2a9d01"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Size     int64     `json:"size" example:"356515840" doc:"Bytes stored."`
}

// UnderWay is a backup that is being made, in short.
type UnderWay struct {
	ID       string    `json:"id" example:"20261122T215643Z-7f3c2a9d01"`
	Started  time.Time `json:"started"`
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is how far a backup is, as its agent said last.
type Progress struct {
	Stage       string `json:"stage" example:"dump" doc:"What the agent does, in its own words."`
	PlainBytes  int64  `json:"plainBytes" example:"1288490188" doc:"What was dumped."`
	StoredBytes int64  `json:"storedBytes" example:"356515840" doc:"What was stored of it, compressed and encrypted."`
}

// ShowProject shows one of which nothing else is known.
func ShowProject(p records.Project) Project { return ShowOverview(records.Overview{Project: p}) }

// ShowOverview shows one, and how it is.
func ShowOverview(o records.Overview) Project {
	p := Project{
		ID: o.ID, Name: o.Name, Schedule: o.Schedule, Timezone: o.Zone, PublicKey: o.PublicKey, Restores: o.AgentsRestore,
		Retention: ShowKept(o.Project), NextDue: moment(o.NextDue), LastSeen: moment(o.LastSeen), OpenAlerts: o.OpenAlerts,
	}
	if n := o.Newest; n.ID != "" {
		p.LastBackup = &Done{ID: n.ID, Started: n.Started.UTC(), Finished: n.Finished.UTC(), Size: n.Size}
	}
	if c := o.Active; c.ID != "" {
		p.UnderWay = &UnderWay{ID: c.ID, Started: c.Started.UTC(), Progress: showProgress(c.Progress)}
	}
	return p
}

// moment is nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func showProgress(p records.Progress) *Progress {
	if p == (records.Progress{}) {
		return nil
	}
	return &Progress{Stage: p.Stage, PlainBytes: p.PlainBytes, StoredBytes: p.StoredBytes}
}

// Backup is what is shown of one.
type Backup struct {
	ID           string     `json:"id" example:"20261122T215643Z-7f3c2a9d01"`
	State        string     `json:"state" example:"done" doc:"open: an agent makes it. completing: what was uploaded is joined. done: the only success. failed: its agent said so. lost: its agent did not say anything for long."`
	AgentID      string     `json:"agentId" example:"db1"`
	AgentVersion string     `json:"agentVersion" example:"1.0.0"`
	DBType       string     `json:"dbType" example:"pg"`
	Due          time.Time  `json:"due"`
	Started      time.Time  `json:"started"`
	Finished     *time.Time `json:"finished,omitempty" doc:"When it was done, or failed."`
	Size         int64      `json:"size" example:"356515840" doc:"Bytes stored, once it is done."`
	Progress     *Progress  `json:"progress,omitempty" doc:"Of one that is not done: how far it is, or came. None: its agent did not say."`
	Error        string     `json:"error,omitempty" doc:"Of one that failed: why, as its agent said."`

	Kept         bool       `json:"kept" doc:"Whether it is kept, whatever the project's rules say."`
	Removal      string     `json:"removal,omitempty" example:"deleted" doc:"What became of its files. None: they are there, or still to come. deleted: nobody sees it, and it can be undeleted. removing, removed: they go, or are gone."`
	DeletedAt    *time.Time `json:"deletedAt,omitempty"`
	DeletedBy    string     `json:"deletedBy,omitempty" example:"retention" doc:"retention, a user of the service's machine, or a token."`
	DeletedWhy   string     `json:"deletedWhy,omitempty"`
	RemoveAfter  *time.Time `json:"removeAfter,omitempty" doc:"When its files go."`
	RemovedAt    *time.Time `json:"removedAt,omitempty"`
	RemovalError string     `json:"removalError,omitempty" doc:"Why its files could not be removed."`
}

// ShowBackup shows one.
func ShowBackup(b records.Backup) Backup {
	s := Backup{
		ID: b.ID, State: b.State, AgentID: b.AgentID, AgentVersion: b.AgentVersion, DBType: b.DBType,
		Due: b.Due.UTC(), Started: b.Started.UTC(), Finished: moment(b.Finished), Size: b.Size, Error: b.Error,
	}
	m := b.Removal
	s.Kept, s.Removal, s.DeletedAt, s.DeletedBy, s.DeletedWhy = m.Kept, m.Phase, moment(m.Deleted), m.By, m.Why
	s.RemovedAt, s.RemovalError = moment(m.Removed), m.Error
	if m.Phase == "" || m.Phase == records.PhaseDeleted {
		s.RemoveAfter = moment(m.SweepAt)
	}
	if b.State != records.StateDone {
		s.Progress = showProgress(b.Progress)
	}
	return s
}

// Agent is what is shown of one.
type Agent struct {
	ID       string    `json:"id" example:"db1" doc:"As it calls itself."`
	Version  string    `json:"version" example:"1.0.0"`
	LastSeen time.Time `json:"lastSeen" doc:"When it asked for a backup."`
	UnderWay *UnderWay `json:"underWay,omitempty" doc:"The backup that it makes now."`
}

// ShowAgents shows those of a project; active is the backup that holds its lock.
func ShowAgents(all []records.Agent, active records.Backup) []Agent {
	shown := make([]Agent, 0, len(all))
	for _, a := range all {
		s := Agent{ID: a.ID, Version: a.Version, LastSeen: a.LastSeen.UTC()}
		if active.ID != "" && active.AgentID == a.ID {
			s.UnderWay = &UnderWay{ID: active.ID, Started: active.Started.UTC(), Progress: showProgress(active.Progress)}
		}
		shown = append(shown, s)
	}
	return shown
}
