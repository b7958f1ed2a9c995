package catalog

import (
	"errors"
	"fmt"
)

// ErrNoBackup says that there is no such backup.
var ErrNoBackup = errors.New("there is no backup")

// ErrUnproved says that nothing proves who made a backup. The errors below are
// its kinds: errors.Is tells that of each.
var ErrUnproved = errors.New("origin not proved")

// The kinds of ErrUnproved.
var (
	ErrUnsigned  = fmt.Errorf("%w: its manifest is not signed", ErrUnproved)
	ErrUntrusted = fmt.Errorf("%w: its manifest is signed by a key that is not pinned", ErrUnproved)
	ErrAltered   = fmt.Errorf("%w: its manifest was altered, the signature does not fit", ErrUnproved)
	ErrMisplaced = fmt.Errorf("%w: its manifest belongs to another backup", ErrUnproved)
	ErrGarbage   = fmt.Errorf("%w: its manifest cannot be read", ErrUnproved)
)
