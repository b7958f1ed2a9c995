package locker

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootClock is a clock that never goes back and cannot be set. It goes on while
// the machine sleeps, which Go's own monotonic clock does not on Linux: whoever
// sleeps past its term must know when it wakes.
func bootClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return time.Since(start) // a system without it
		}
		return time.Duration(t.Nano())
	}
}
