package api

import "time"

// Heartbeat is the body of POST …/heartbeat: it renews the lease.
type Heartbeat struct {
	AgentID  string    `json:"agentId"`
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is how far a backup is.
type Progress struct {
	Stage       string `json:"stage"`
	PlainBytes  int64  `json:"plainBytes"`
	StoredBytes int64  `json:"storedBytes"`
}

// Lease is the answer to a heartbeat.
type Lease struct {
	LeaseSeconds int `json:"leaseSeconds"`
}

// PartRequest is the body of POST …/parts: it asks where to put a part of one of
// several files. The answer is a PartURL.
type PartRequest struct {
	AgentID    string `json:"agentId"`
	File       string `json:"file"`       // an object's name, see storage.CheckName
	PartNumber int    `json:"partNumber"` // from 1
	Hash       string `json:"hash"`       // its MD5 in base64
	Size       int64  `json:"size"`
}

// CompleteRequest is the body of POST …/complete: all parts of a file are there.
type CompleteRequest struct {
	AgentID   string   `json:"agentId"`
	File      string   `json:"file"`
	PartsETag []string `json:"partsEtag"`
	Size      int64    `json:"size"`

	// As is the name that the file gets, if no other has it: whoever uploads under a
	// name of his own does not meet others, and is not seen before. "" keeps File.
	As string `json:"as,omitempty"`
}

// CompletedFile is the answer to a CompleteRequest.
type CompletedFile struct {
	File Object `json:"file"`
}

// DiscardRequest is the body of POST …/discard: a file of a backup that is not done
// is taken back.
type DiscardRequest struct {
	AgentID string `json:"agentId"`
	File    string `json:"file"`
}

// Object is a file that the service keeps.
type Object struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	ETag     string    `json:"etag"`
	BackupID string    `json:"backupId"`
}

// Objects is the answer to GET /projects/{projectId}/objects.
type Objects struct {
	Objects []Object `json:"objects"`
}
