package scheduler

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// The wait after a failure doubles from firstRetry to lastRetry. Each differs
// by up to a fifth, so that instances that failed together do not come back
// together.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
	jitter     = 5 // the part of a wait by which it differs
)

// Delay is the random delay of one due time, less than limit. It is always the
// same for the same seed and time, so that a restart does not draw again.
func Delay(seed string, due time.Time, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", due.Unix(), seed))
	return time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(limit))
}

// retry is when to try again what has failed.
type retry struct {
	err      error // why it failed the last time; nil if it did not
	failures int   // one after the other
	wait     time.Duration
	at       time.Time
}

// failed counts a failure. The next try is no later than a time.
func (r *retry) failed(err error, now, latest time.Time) {
	r.err = err
	r.wait = backoff(r.failures)
	r.failures++
	r.at = earlier(now.Add(r.wait), latest)
}

// due returns when to try again. A clock that was put back makes it no longer.
func (r *retry) due(now time.Time) time.Time {
	r.at = earlier(r.at, now.Add(r.wait))
	return r.at
}

// backoff is how long to wait after that many failures before the last one.
func backoff(failures int) time.Duration {
	wait := lastRetry
	if failures < 6 {
		wait = firstRetry << failures
	}
	least, most := wait-wait/jitter, min(wait+wait/jitter, lastRetry)
	return least + rand.N(most-least+1)
}
