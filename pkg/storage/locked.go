package storage

import "errors"

// ErrLocked says that an object may not be removed: it is locked for a time, or
// whoever asks lacks the right to.
var ErrLocked = errors.New("locked against removal")
