package config

import (
	"fmt"
	"strings"
)

// Error is what Load returns: every problem that was found, so that a configuration is mended in one go. It
// means that the configuration is wrong or incomplete, never that dbacked failed at its work.
type Error struct {
	Instance string   // "" when it is not known
	Problems []string // one line each; no secrets in them
	Hint     string   // when something is missing: where was looked, and which NAME may be meant; else ""
}

// Error lists the problems, one on a line, then the hint.
func (e *Error) Error() string {
	subject := "configuration"
	if e.Instance != "" {
		subject = fmt.Sprintf("configuration of %q", e.Instance)
	}
	hint := ""
	if e.Hint != "" {
		hint = "\n  " + e.Hint
	}
	if len(e.Problems) == 1 {
		return subject + ": " + e.Problems[0] + hint
	}
	return fmt.Sprintf("%s has %d problems:\n  - %s%s", subject, len(e.Problems), strings.Join(e.Problems, "\n  - "), hint)
}
