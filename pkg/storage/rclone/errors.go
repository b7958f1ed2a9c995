package rclone

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dbacked/dbacked/pkg/process"
	"github.com/dbacked/dbacked/pkg/storage"
)

// stallError says that rclone was ended since nothing moved.
type stallError struct {
	limit time.Duration
	final bool // it is not tried again
}

func (e *stallError) Error() string {
	return fmt.Sprintf("rclone did nothing for %s and was ended", e.limit)
}

// The exit statuses of rclone that say something.
const (
	exitNoFolder    = 3
	exitNoFile      = 4
	exitTemporary   = 5
	hintTooOld      = "rclone 1.57 or newer is needed"
	hintNoRemote    = "see \"rclone listremotes\", DBACKED_RCLONE_CONFIG, and RCLONE_CONFIG_… in the instance's env file"
	hintNotAllowed  = "see what the remote's user may do there"
	hintPassword    = "give the password of rclone's configuration as RCLONE_CONFIG_PASS or RCLONE_PASSWORD_COMMAND"
	hintUnreachable = "see whether the remote can be reached from here: rclone lsf"
)

var (
	saysTemporary = regexp.MustCompile(`(?i)time[d ]?-?out|connection (refused|reset)|broken pipe|no such host|unexpected EOF|temporar|try again|too many requests|rate.?limit|slow ?down|\b(429|50[0234])\b|network is unreachable|no route to host`)
	saysForbidden = regexp.MustCompile(`(?i)permission denied|access.?denied|forbidden|not authori[sz]ed|unauthorized|unable to authenticate|\b40[13]\b`)
	saysNoRemote  = regexp.MustCompile(`(?i)didn't find section in config file|didn't find backend`)
	saysUsage     = regexp.MustCompile(`(?i)unknown (flag|command)`)
	saysPassword  = regexp.MustCompile(`(?i)unable to decrypt configuration|config(uration)? password`)
)

// failed makes of what a run of rclone ended with what a store says.
func (s *Store) failed(what, name string, err error) error {
	what += " " + s.address(name)
	if stall, ok := errors.AsType[*stallError](err); ok {
		err := fmt.Errorf("%s: %w; %s", what, stall, hintUnreachable)
		if stall.final {
			return err
		}
		return &storage.TemporaryError{Err: err}
	}
	exit, ok := errors.AsType[*process.ExitError](err)
	if !ok {
		return err // its context's, or what kept it from starting
	}
	said := exit.Stderr
	if exit.Signal != 0 {
		said = "signal: " + exit.Signal.String()
	}
	clean := fmt.Errorf("rclone: %s (status %d)", s.clean(said), exit.Code)
	if said == "" {
		clean = fmt.Errorf("rclone ended with status %d and no word", exit.Code)
	}
	switch {
	case exit.Code == exitNoFolder || exit.Code == exitNoFile:
		return fmt.Errorf("%s: %w (%v)", what, storage.ErrNotFound, clean)
	case saysUsage.MatchString(said):
		return fmt.Errorf("%s: %w; %s", what, clean, hintTooOld)
	case saysNoRemote.MatchString(said):
		return fmt.Errorf("%s: %w; %s", what, clean, hintNoRemote)
	case saysPassword.MatchString(said):
		return fmt.Errorf("%s: %w; %s", what, clean, hintPassword)
	case saysForbidden.MatchString(said):
		return fmt.Errorf("%s: %w: %v; %s", what, storage.ErrForbidden, clean, hintNotAllowed)
	case exit.Code == exitTemporary || saysTemporary.MatchString(said):
		return &storage.TemporaryError{Err: fmt.Errorf("%s: %w; %s", what, clean, hintUnreachable)}
	}
	return fmt.Errorf("%s: %w", what, clean)
}
