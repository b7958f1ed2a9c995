package catalog

import "time"

// Manifest says what a backup is and what it is made of. Its JSON is the text
// of a signed note, readable without any key; it names no table.
type Manifest struct {
	Version  int    `json:"version"`            // of this layout: 1
	ID       string `json:"id"`                 // see NewID
	Previous string `json:"previous,omitempty"` // id of the newest backup before it, if there was one
	Instance string `json:"instance"`           // NAME, the folder that holds the backup

	Engine        string `json:"engine"`        // "postgresql", "mysql" or "mariadb"
	ServerVersion string `json:"serverVersion"` // as the server says it
	ToolVersion   string `json:"toolVersion"`   // as the dump program says it
	Database      string `json:"database"`

	Started  time.Time `json:"started"` // before the snapshot was taken, UTC
	Finished time.Time `json:"finished"`

	AgentID      string `json:"agentId"`
	AgentVersion string `json:"agentVersion"`

	Compression string   `json:"compression"` // "zstd:1", "gzip", "none"
	Recipients  []string `json:"recipients"`  // SHA-256 of each public key's SPKI DER, hex

	Files []File `json:"files"` // in the order in which they are read
}

// Kinds of file in a backup.
const (
	KindGlobals = "globals" // SQL: the roles or users that the database needs
	KindDump    = "dump"    // the dump program's output
)

// File is one encrypted file of a backup.
type File struct {
	Name        string `json:"name"`        // in the backup's folder: "0000.dbacked"
	Kind        string `json:"kind"`        // KindGlobals, KindDump
	Order       int    `json:"order"`       // place among the files, from 0
	Format      string `json:"format"`      // "1.0.0", or "0.5.0" for a legacy file
	StoredBytes int64  `json:"storedBytes"` // size of the encrypted file
	PlainBytes  int64  `json:"plainBytes"`  // what the dump program wrote, before compression
	SHA256      string `json:"sha256"`      // of the encrypted file, hex
}
