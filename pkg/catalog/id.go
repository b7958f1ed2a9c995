package catalog

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"time"
)

// idTime is how an id begins: the start of its backup, UTC.
const idTime = "20060102T150405Z"

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$`)

// closest is how far the newest backup may be ahead of one that starts, so that
// the id still comes after it: a clock that was set right goes back by less.
const closest = time.Minute

// NextID is NewID for a backup of an instance whose newest one is newest, "" for
// none. The ids of an instance sort as its backups were made: one that starts in
// the same second as the newest, or by a clock that went back a little, has an id
// of the second after.
func NextID(t time.Time, newest string) string {
	last, err := ParseID(newest)
	if ahead := last.Sub(t.Truncate(time.Second)); err == nil && ahead >= 0 && ahead < closest {
		t = last.Add(time.Second)
	}
	return NewID(t)
}

// NewID is the id of a backup that starts at t: "20261122T215643Z-7f3c2a". Ids
// sort by time, and where that is the same by their end, which is random.
func NewID(t time.Time) string {
	var random [3]byte
	rand.Read(random[:]) // never fails
	return t.UTC().Format(idTime) + "-" + hex.EncodeToString(random[:])
}

// ParseID returns when the backup of an id started.
func ParseID(id string) (time.Time, error) {
	if !idPattern.MatchString(id) {
		return time.Time{}, fmt.Errorf("%q is no backup's id: one looks like 20261122T215643Z-7f3c2a", id)
	}
	return time.Parse(idTime, id[:len(idTime)])
}

// Path is the name of a file of a backup in a store.
func Path(instance, id, file string) string { return path.Join(instance, id, file) }

// manifestName is the name of a manifest in its backup's folder.
const manifestName = "manifest"
