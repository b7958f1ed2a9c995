package locker

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// maxHolder bounds what is read of a lock file, in bytes.
const maxHolder = 4 << 10

// holder is what a lock file says of who holds it.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// claim writes who holds the lock into its file. It may fail: on a full disk
// the lock must still be had, or nothing could be cleaned up.
func claim(f *os.File) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil || f.Truncate(0) != nil {
		return
	}
	_, _ = f.WriteAt(append(text, '\n'), 0)
}

// held is ErrHeld with who holds the lock.
func held(f *os.File) error {
	text, err := io.ReadAll(io.LimitReader(f, maxHolder))
	var h holder
	if err != nil || json.Unmarshal(text, &h) != nil || h.PID <= 0 {
		return fmt.Errorf("%w: wait until it ends", ErrHeld) // its holder has not written yet, or could not
	}
	return fmt.Errorf("%w: process %d on %q, since %s: wait until it ends", ErrHeld, h.PID, h.Host, h.Since.Local().Format(time.DateTime))
}
