package dumper

import (
	"errors"
	"fmt"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
)

// ErrIncomplete says that a tool ended well but that what it wrote is not a
// complete dump.
var ErrIncomplete = errors.New("the dump is not complete")

// ErrWrongEngine says that what is to be restored is another engine's dump, or
// none at all. Nothing was written to the target.
var ErrWrongEngine = errors.New("not a dump of this engine")

// ErrOtherRows says that the parts of a backup do not hold what its list of
// tables says.
var ErrOtherRows = errors.New("what came back is not what was backed up")

// ExitError says that a tool failed. What it said is without secrets.
type ExitError = process.ExitError

// StallError says that a tool moved no byte for longer than the limit, while
// this process was ready for it.
type StallError struct {
	Tool  string
	Limit time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s moved no data for %s: see what its session waits for on the server, or raise DBACKED_STALL_TIMEOUT", e.Tool, e.Limit)
}
