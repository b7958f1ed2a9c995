// Package api is what an agent and the DBacked service say to each other: paths,
// messages and the JSON between them. Agents of 2018 say the first half of it, to
// the letter; the second half exists where the service lists it among its
// capabilities.
//
// Every call carries "Authorization: ApiKey KEY". Every answer that is not 2xx is
// a [Problem]. Times are RFC 3339, sizes are bytes.
package api

import (
	"fmt"
	"time"
)

// DefaultURL is where the service of the former agent was.
const DefaultURL = "https://api.dbacked.com"

// AuthScheme begins the Authorization header, before a blank and the key.
const AuthScheme = "ApiKey"

// NoBackupNeeded is the message, to the letter, of a request for a backup when none
// is due, or another agent makes it.
const NoBackupNeeded = "No backup needed for the moment"

// Capabilities that a service may have beside those of 2018.
const (
	CapabilityFiles      = "files"      // a backup of several files
	CapabilityManifests  = "manifests"  // DONE takes a signed manifest
	CapabilityHeartbeats = "heartbeats" // a lease is renewed, and short
	CapabilityProgress   = "progress"   // a heartbeat tells how far a backup is
	CapabilityRequestIDs = "requestIds" // asking for a backup can be repeated
	CapabilityRetention  = "retention"  // the service removes what is old
	CapabilityNow        = "now"        // a backup can be asked for that is not due
	CapabilityOwn        = "own"        // every path takes "own" for the key's project
)

// Project is the answer to GET /projects/own.
type Project struct {
	ID        string   `json:"id"`
	PublicKey string   `json:"publicKey"` // PEM; "" when the project has none
	Backups   []Backup `json:"backups"`   // newest first; empty for a key that can only add

	// Of a service with capabilities:
	Capabilities []string   `json:"capabilities,omitempty"`
	Name         string     `json:"name,omitempty"`
	Schedule     string     `json:"schedule,omitempty"` // cron
	Timezone     string     `json:"timezone,omitempty"`
	NextDue      *time.Time `json:"nextDue,omitempty"`
	KeyKind      string     `json:"keyKind,omitempty"` // of the key that asks: one of the kinds
}

// Kinds of keys.
const (
	KeyAgent   = "agent"   // makes backups; reads them only where its project allows that
	KeyRestore = "restore" // lists and downloads, and makes none
)

// Has tells whether the service has a capability.
func (p Project) Has(capability string) bool {
	for _, c := range p.Capabilities {
		if c == capability {
			return true
		}
	}
	return false
}

// Old says that the service is as it was in 2018, in what it keeps: one file a backup,
// and nothing that proves whose it is.
func (p Project) Old() bool { return !p.Has(CapabilityFiles) || !p.Has(CapabilityManifests) }

// Backup is one that is done.
type Backup struct {
	ID         string    `json:"id"`
	ProjectID  string    `json:"projectId"`
	DBType     string    `json:"dbType"`
	FinishedAt time.Time `json:"finishedAt"`
	Size       int64     `json:"size"`
	Filename   string    `json:"filename"`
}

// BackupRequest is the body of POST /projects/own/backups.
type BackupRequest struct {
	AgentID      string `json:"agentId"`
	AgentVersion string `json:"agentVersion"`
	DBType       string `json:"dbType"`

	// RequestID makes the call repeatable: the same id gets the same backup.
	RequestID string `json:"requestId,omitempty"`
	// Now asks for a backup that is not due yet.
	Now bool `json:"now,omitempty"`
}

// GivenBackup is the answer when a backup is due: it is locked for whoever asked.
type GivenBackup struct {
	Backup struct {
		ID        string `json:"id"`
		ProjectID string `json:"projectId"`
	} `json:"backup"`

	LeaseSeconds int `json:"leaseSeconds,omitempty"` // for how long, without a heartbeat
}

// What a Status can be.
const (
	StatusInProgress = "IN_PROGRESS" // asks for the address of a part
	StatusDone       = "DONE"
	StatusError      = "ERROR"
)

// Status is the body of POST …/status.
type Status struct {
	Status  string `json:"status"`
	AgentID string `json:"agentId"`

	// Of IN_PROGRESS: the part, from 1, and its MD5 in base64. Of DONE, Hash is the
	// MD5 of the whole file, in hex.
	PartNumber int    `json:"partNumber,omitempty"`
	Hash       string `json:"hash,omitempty"`

	// Of DONE: the ETags as they came, with their quotes, in the parts' order, and
	// the key that was used (PEM; may be missing).
	PartsETag []string `json:"partsEtag,omitempty"`
	PublicKey string   `json:"publicKey,omitempty"`

	// Of ERROR; may be missing.
	Error string `json:"error,omitempty"`

	// Of DONE, of a backup of several files: its signed manifest, and the name of
	// the object that holds it.
	Manifest     string `json:"manifest,omitempty"`
	ManifestName string `json:"manifestName,omitempty"`
}

// PartURL is the answer to IN_PROGRESS.
type PartURL struct {
	PartUploadURL string `json:"partUploadUrl"`
}

// DownloadURL is the answer to GET …/downloadUrl. Size and ETag are of a service with
// capabilities.
type DownloadURL struct {
	DownloadURL string `json:"downloadUrl"`
	Size        int64  `json:"size,omitempty"`
	ETag        string `json:"etag,omitempty"`
}

// Problem is an answer that is not 2xx, and the error that it means.
type Problem struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Details any    `json:"details,omitempty"`
	Code    string `json:"code,omitempty"` // of a service with capabilities: one of the Codes, if one fits
}

// Codes tell answers of one status apart.
const (
	CodeNotDue   = "notDue"   // no backup is due, or another agent makes it
	CodeLost     = "lost"     // the backup is over, or another agent's
	CodeConflict = "conflict" // it was said, or stored, before: differently
	CodeAddsOnly = "addsOnly" // the key is an agent's, and reads nothing that was stored
	CodeNoAgent  = "noAgent"  // the key is no agent's, and makes no backups
	CodeNoCall   = "noCall"   // no call has this path
)

func (p *Problem) Error() string {
	return fmt.Sprintf("the service answers %d: %s", p.Status, p.Message)
}
