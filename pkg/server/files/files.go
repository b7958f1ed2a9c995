// Package files keeps the bytes of backups for the service: in a folder of its
// own ([Folder]) or in a bucket of S3 ([Bucket]).
//
// A file is a list of parts. Whoever has a part's signed address can put that part,
// and nothing else: the address ends, and is bound to the part and its MD5. A file
// is seen by nobody before it is complete, and is never changed after.
//
//	folder, err := files.OpenFolder(dir, secret, files.FolderOptions{})
//	mux.Handle("/files/", folder)
//	address, err := folder.PartURL(ctx, "https://backups.example.org", ref, "", part, time.Hour)
//
// With a Bucket the addresses are those of the service of S3, and the bytes never
// pass this server.
//
// No error and no log holds the query of an address, which is its signature.
package files

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What a Store's error may be, by errors.Is.
var (
	ErrNotFound = errors.New("there is no such file")
	ErrParts    = errors.New("the parts are not those that are stored")
	ErrConflict = errors.New("another file is complete there")
)

// MaxParts is how many parts a file may have, as in S3.
const MaxParts = 10_000

// maxNumber bounds a file's number in its backup.
const maxNumber = 999_999

// Ref is one file. Project and Backup have 1 to 64 letters, digits, "-" and "_".
type Ref struct {
	Project, Backup string
	Number          int
}

// String is the file's path below a folder or prefix.
func (r Ref) String() string { return fmt.Sprintf("%s/%s/%d", r.Project, r.Backup, r.Number) }

// Part is one part of a file, from 1. Size is 0 where it is not known.
type Part struct {
	Number int
	MD5    string // base64
	ETag   string // with its quotes
	Size   int64
}

// Stored is a file that is complete. ETag has its quotes.
type Stored struct {
	Size     int64
	ETag     string
	Modified time.Time
}

// Store keeps files. All methods may be repeated, and called at the same time.
type Store interface {
	// Begin returns the id that Complete and Remove need, "" for a Folder.
	Begin(ctx context.Context, r Ref) (upload string, err error)
	// PartURL is where a part can be put for a time. Its MD5 must be known.
	PartURL(ctx context.Context, base string, r Ref, upload string, p Part, valid time.Duration) (string, error)
	// Complete makes a file of parts, in their order and with the ETags that whoever
	// put them says: ErrParts if one is not so. Again with the same: the same answer;
	// with others: ErrConflict.
	Complete(ctx context.Context, r Ref, upload string, parts []Part) (Stored, error)
	// Put makes a small file in one step, as Complete does.
	Put(ctx context.Context, r Ref, data []byte) (Stored, error)
	// Read returns a small file, of at most limit bytes.
	Read(ctx context.Context, r Ref, limit int64) ([]byte, error)
	// DownloadURL is where a file can be read for a time, whether it is there or not.
	DownloadURL(ctx context.Context, base string, r Ref, valid time.Duration) (string, error)
	// Remove removes a file, and what is unfinished of it. That none is there is no error.
	Remove(ctx context.Context, r Ref, upload string) error
}

var (
	_ Store = (*Folder)(nil)
	_ Store = (*Bucket)(nil)
)

// check refuses what could be a path of its own.
func (r Ref) check() error {
	if !validID(r.Project) || !validID(r.Backup) || r.Number < 0 || r.Number > maxNumber {
		return fmt.Errorf("file %q/%q/%d: a project's and a backup's id have 1 to 64 letters, digits, \"-\" and \"_\", and a file's number is 0 to %d",
			shorten(r.Project), shorten(r.Backup), r.Number, maxNumber)
	}
	return nil
}

func shorten(s string) string { return s[:min(len(s), 80)] }

func validID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return id != "" && len(id) <= 64 && strings.Trim(id, allowed) == ""
}

// sum is the part's MD5 in hex.
func (p Part) sum() (string, error) {
	sum, err := base64.StdEncoding.Strict().DecodeString(p.MD5)
	if err != nil || len(sum) != md5.Size {
		return "", fmt.Errorf("part %d: its MD5 must be 16 bytes in base64", p.Number)
	}
	return hex.EncodeToString(sum), nil
}

// check refuses a part that no address can be made for.
func (p Part) check() error {
	if p.Number < 1 || p.Number > MaxParts {
		return fmt.Errorf("part %d: it may be 1 to %d", p.Number, MaxParts)
	}
	if p.Size < 0 {
		return fmt.Errorf("part %d: its size is negative", p.Number)
	}
	_, err := p.sum()
	return err
}

// checkOrder says ErrParts unless the parts are 1, 2, 3, … with an ETag each.
func checkOrder(r Ref, parts []Part) error {
	if len(parts) == 0 || len(parts) > MaxParts {
		return fmt.Errorf("complete %v: %w: it has %d parts, and may have 1 to %d", r, ErrParts, len(parts), MaxParts)
	}
	for i, p := range parts {
		if p.Number != i+1 {
			return fmt.Errorf("complete %v: %w: part %d is where part %d must be", r, ErrParts, p.Number, i+1)
		}
		if bare(p.ETag) == "" {
			return fmt.Errorf("complete %v: %w: part %d has no ETag", r, ErrParts, p.Number)
		}
	}
	return nil
}

// bare is an ETag without its quotes.
func bare(tag string) string {
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		return tag[1 : len(tag)-1]
	}
	return tag
}

func quoted(tag string) string { return `"` + bare(tag) + `"` }

// joined is what S3 makes the ETag of a file of parts, "" where a part's is no MD5.
func joined(tags []string) string {
	all := md5.New()
	for _, tag := range tags {
		sum, err := hex.DecodeString(tag)
		if err != nil || len(sum) != md5.Size {
			return ""
		}
		all.Write(sum)
	}
	return fmt.Sprintf(`"%x-%d"`, all.Sum(nil), len(tags))
}
