// Package files is where the DBacked service keeps what agents upload: in a
// [Folder] of its own, or in a [Bucket] of S3, whose bytes never pass the service.
//
// A file is uploaded in numbered parts, each to an address that expires and is
// bound to its method, its part and its MD5. Then it is completed, which names the
// parts in their order by the ETags that the uploads were answered with; and then
// it can be downloaded, by an address that expires too.
//
// Every method can be repeated: the same words have the same outcome.
package files

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Errors of a Store, wrapped or not.
var (
	// ErrParts says that a part is missing, or is another one.
	ErrParts = errors.New("a part is missing, or is not the one that was stored")
	// ErrConflict says that the file is complete already, and another.
	ErrConflict = errors.New("the file is complete, of other parts")
	// ErrNotFound says that there is no such file.
	ErrNotFound = errors.New("there is no such file")
)

// Ref names a file.
type Ref struct {
	Project, Backup string
	Number          int // from 1
}

// Part is one of a file's.
type Part struct {
	Number int    // from 1
	MD5    string // base64
	ETag   string // with its quotes
	Size   int64  // 0: not known
}

// Stored is a file that is complete.
type Stored struct {
	Size     int64
	ETag     string // with its quotes
	Modified time.Time
}

// Store keeps files. Its methods may be called from several goroutines, and by
// several replicas.
type Store interface {
	// Begin begins a file: what it returns goes with each later call, and may be
	// empty.
	Begin(ctx context.Context, r Ref) (upload string, err error)

	// PartURL is where a part is uploaded by PUT, with its MD5 as Content-MD5. base
	// begins the addresses of the service itself.
	PartURL(ctx context.Context, base string, r Ref, upload string, p Part, valid time.Duration) (string, error)

	// Complete joins the parts, which are numbered from 1 without a hole. ErrParts:
	// one is not there, or has another ETag. ErrConflict: the file is complete, of
	// other parts.
	Complete(ctx context.Context, r Ref, upload string, parts []Part) (Stored, error)

	// Put stores a small file in one step.
	Put(ctx context.Context, r Ref, data []byte) (Stored, error)

	// DownloadURL is where a complete file is read by GET, also in ranges.
	DownloadURL(ctx context.Context, base string, r Ref, valid time.Duration) (string, error)

	// Remove removes a file, complete or not. One that is not there is no error.
	Remove(ctx context.Context, r Ref, upload string) error
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}$`)

// check refuses what could be a path, or is no file.
func (r Ref) check() error {
	if !idPattern.MatchString(r.Project) || !idPattern.MatchString(r.Backup) || r.Number < 1 {
		return fmt.Errorf("%w: %.100q", ErrNotFound, r.String())
	}
	return nil
}

func (r Ref) String() string { return fmt.Sprintf("%s/%s/%d", r.Project, r.Backup, r.Number) }

const mostParts = 10_000

// order refuses parts that are not numbered from 1 without a hole.
func order(parts []Part) error {
	if len(parts) == 0 || len(parts) > mostParts {
		return fmt.Errorf("%w: %d parts", ErrParts, len(parts))
	}
	for i, p := range parts {
		if p.Number != i+1 {
			return fmt.Errorf("%w: part %d stands in place %d", ErrParts, p.Number, i+1)
		}
	}
	return nil
}

// sumOf is the MD5 that an ETag of a part is.
func sumOf(etag string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.Trim(etag, `"`))
	if err != nil || len(sum) != md5.Size {
		return nil, fmt.Errorf("%w: the ETag %.40q is none of a part", ErrParts, etag)
	}
	return sum, nil
}

// joined is the ETag of a file of several parts, as S3 makes it: the MD5 of their
// MD5s, and how many there are.
func joined(parts []Part) (string, error) {
	whole := md5.New()
	for _, p := range parts {
		sum, err := sumOf(p.ETag)
		if err != nil {
			return "", err
		}
		whole.Write(sum)
	}
	return fmt.Sprintf(`"%x-%d"`, whole.Sum(nil), len(parts)), nil
}

// etagOf is the ETag of a part, or of a file of one step.
func etagOf(sum []byte) string { return `"` + hex.EncodeToString(sum) + `"` }

// md5Of decodes an MD5 in base64.
func md5Of(text string) ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != md5.Size {
		return nil, errors.New("it is no MD5 in base64")
	}
	return sum, nil
}
