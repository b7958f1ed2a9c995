package catalog

import "time"

// Manifest says what a backup is and what it is made of. Its JSON is the text
// of a signed note, readable without any key; it names no table.
type Manifest struct {
	Version  int    `json:"version"`            // of this layout, see Layout
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

// Layouts, by [Manifest.Version]. Programs that know only the first would take
// the beginning of a dump for all of it, and those that know the second would
// take a part of its tables for all of them.
const (
	LayoutFiles  = 1 // each file is one encrypted stream
	LayoutChains = 2 // files may continue
	LayoutSplit  = 3 // the dump is split: its schema in one file, its data in others
)

// MaxFiles is how many files a backup can have.
const MaxFiles = 10_000

// Kinds of file in a backup.
const (
	KindGlobals = "globals" // SQL: the roles or users that the database needs
	KindDump    = "dump"    // the dump program's output

	// What is there instead of one dump when several streams were written at
	// once, all of one snapshot.
	KindSchema   = "schema"   // an archive of what is created before the data, and after it
	KindData     = "data"     // an archive of some tables' data
	KindContents = "contents" // JSON: which table is in which file
)

// File is one encrypted file of a backup, or one of several that are one after
// the other, in the manifest's order: a store limits how large one object can
// be. Only the first of such a chain has the header of the encrypted file.
type File struct {
	Name        string `json:"name"`        // in the backup's folder: "0000.dbacked"
	Kind        string `json:"kind"`        // KindGlobals, KindDump, …
	Order       int    `json:"order"`       // place among the files, from 0
	Format      string `json:"format"`      // "1.0.0", or "0.5.0" for a legacy file
	StoredBytes int64  `json:"storedBytes"` // size of the encrypted file
	PlainBytes  int64  `json:"plainBytes"`  // what the dump program wrote, before compression; of a chain, in its first file
	SHA256      string `json:"sha256"`      // of the encrypted file, hex

	// Continues says that this file goes on where the one before it ends.
	Continues bool `json:"continues,omitempty"`
}

// Chain returns a file and those in which it goes on.
func (m *Manifest) Chain(f File) []File {
	chain := []File{f}
	for i := f.Order + 1; i < len(m.Files) && m.Files[i].Continues; i++ {
		chain = append(chain, m.Files[i])
	}
	return chain
}

// Layout is the version that a manifest of these files has: the first that knows
// what is in it, so that no program refuses a backup that it could read.
func (m *Manifest) Layout() int {
	layout := LayoutFiles
	for _, f := range m.Files {
		switch {
		case f.split():
			return LayoutSplit
		case f.Continues:
			layout = LayoutChains
		}
	}
	return layout
}

// split tells whether a file is of a dump that is split.
func (f *File) split() bool {
	return f.Kind == KindSchema || f.Kind == KindData || f.Kind == KindContents
}
