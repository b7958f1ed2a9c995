package agent

import "time"

// States of an agent.
const (
	StateStarting = "starting" // the store has not been read yet
	StateIdle     = "idle"     // waiting for the next time that is due
	StateRunning  = "running"  // a backup is being made
	StateRetrying = "retrying" // the last run failed; the next try is planned
	StateDraining = "draining" // finishing the run at hand, then exiting
	StateStopping = "stopping" // told to stop
)

// Reasons why a backup is made.
const (
	ReasonDue       = "due"       // the schedule says so
	ReasonRetry     = "retry"     // the last run failed
	ReasonRequested = "requested" // somebody asked for it

	// ReasonAsk is none: a service is asked then whether a backup is due.
	ReasonAsk = "ask"
)

// StatusVersion is the version of [Status] as JSON. It grows when a field
// changes its meaning or goes away; new fields do not change it.
const StatusVersion = 1

// Status is what an agent says of itself. Its JSON is what GET /status answers
// and what "dbacked status --json" prints. Times are RFC 3339 in UTC, sizes are
// bytes.
type Status struct {
	Version      int       `json:"version"` // StatusVersion
	Instance     string    `json:"instance"`
	AgentVersion string    `json:"agentVersion"`
	PID          int       `json:"pid"`
	Since        time.Time `json:"since"` // when the agent started

	State   string `json:"state"`   // one of the State constants
	Healthy bool   `json:"healthy"` // what GET /healthz answers
	Problem string `json:"problem"` // why it is not healthy; empty when it is

	Storage  string     `json:"storage"`  // URL, or several with commas between
	Service  bool       `json:"service"`  // a service keeps the backups, and says when one is due
	Schedule string     `json:"schedule"` // as configured, or where it comes from
	Timezone string     `json:"timezone"`
	Next     *time.Time `json:"next,omitempty"`   // when the next run is planned
	Reason   string     `json:"reason,omitempty"` // of the next run, or that a service is asked then: one of the Reason constants

	Newest  *Backup  `json:"newest,omitempty"`  // newest proved backup in the store
	Places  []Place  `json:"places,omitempty"`  // of a storage that is several, each
	Running *Running `json:"running,omitempty"` // the run at hand
	Runs    []Run    `json:"runs"`              // the last runs, newest first, at most 30

	Attempts  uint64            `json:"attempts"`  // runs since the agent started
	Successes uint64            `json:"successes"` // of them, proved backups
	Partials  uint64            `json:"partials"`  // of them, proved, but not in every place
	Failures  map[string]uint64 `json:"failures"`  // of them, failed, by stage
	LockWaits uint64            `json:"lockWaits"` // of them, given up since another run held the lock

	BlockedSessions uint64 `json:"blockedSessions"` // times that another session waited behind a dump's locks, since the agent started
}

// Backup is a proved backup, as its manifest describes it.
type Backup struct {
	ID            string    `json:"id"`
	Started       time.Time `json:"started"`
	Finished      time.Time `json:"finished"`
	Engine        string    `json:"engine"` // postgresql, mysql or mariadb
	ServerVersion string    `json:"serverVersion"`
	ToolVersion   string    `json:"toolVersion"`
	Database      string    `json:"database"`
	PlainBytes    int64     `json:"plainBytes"`       // what the dump programs wrote
	StoredBytes   int64     `json:"storedBytes"`      // what is stored of it
	Places        []string  `json:"places,omitempty"` // URLs of those that hold it, of several

	// Unproved says that a service lists it and keeps no manifest: nothing proves its
	// origin, Started is its end, and what the service does not know is empty.
	Unproved bool `json:"unproved,omitempty"`
}

// Place is one of several places that backups go to.
type Place struct {
	Storage string  `json:"storage"`          // URL
	Newest  *Backup `json:"newest,omitempty"` // newest proved backup there
	Error   string  `json:"error,omitempty"`  // why it could not be read
}

// Running is a run that goes on.
type Running struct {
	Number         uint64    `json:"number"` // of the run, from 1 since the agent started
	Reason         string    `json:"reason"`
	Started        time.Time `json:"started"`
	Stage          string    `json:"stage"` // lock, prepare, dump, commit
	PlainBytes     int64     `json:"plainBytes"`
	StoredBytes    int64     `json:"storedBytes"`
	BytesPerSecond int64     `json:"bytesPerSecond"` // of plain bytes, over the last seconds

	SnapshotSeconds int64 `json:"snapshotSeconds,omitempty"` // age of the snapshot that several dumps share, in seconds
	BlockedSessions int   `json:"blockedSessions,omitempty"` // times that another session waited behind its locks
}

// Run is a run that has ended.
type Run struct {
	Number      uint64     `json:"number"` // 0 for one of before this agent started
	Reason      string     `json:"reason,omitempty"`
	Started     time.Time  `json:"started"`
	Finished    time.Time  `json:"finished"`
	Backup      string     `json:"backup,omitempty"`  // id of the proved backup; empty when it failed
	Partial     bool       `json:"partial,omitempty"` // it was proved, but not in every place: error says why
	Yielded     bool       `json:"yielded,omitempty"` // it failed since it gave way to others on the server
	PlainBytes  int64      `json:"plainBytes"`
	StoredBytes int64      `json:"storedBytes"`
	Stage       string     `json:"stage,omitempty"`  // in which it failed
	Error       string     `json:"error,omitempty"`  // why it failed
	Places      []RunPlace `json:"places,omitempty"` // of a run to several places, how it ended in each
}

// RunPlace is how a run ended in one of several places.
type RunPlace struct {
	Storage string `json:"storage"`         // URL
	Error   string `json:"error,omitempty"` // why the backup is not there
}
