package config

import (
	"fmt"
	"io"
	"strings"
)

const hidden = "[secret]"

// Secret is a text that prints, formats and marshals as "[secret]", whether it is set or not. The zero value is
// not set. Only Reveal gives the text.
type Secret struct {
	// A pointer, so that even a Secret inside of somebody's unexported field prints as an address: fmt calls no
	// methods there.
	text *string
}

// NewSecret returns text as a Secret; an empty text is one that is not set.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text, "" when it is not set. Hand it to nothing that prints, logs or execs.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet tells whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal compares the texts; tests that compare configurations use it.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns "[secret]".
func (s Secret) String() string { return hidden }

// Format writes "[secret]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText returns "[secret]"; JSON and log encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the text, so that a flag can be a Secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Environ is an environment for child processes, NAME=value each, that prints its names only: values such as
// PGPASSWORD and AWS_SECRET_ACCESS_KEY are secrets. It can be assigned to a []string.
type Environ []string

// Value returns a variable's value, "" when it is not there.
func (e Environ) Value(name string) string {
	for _, assignment := range e {
		if value, ok := strings.CutPrefix(assignment, name+"="); ok {
			return value
		}
	}
	return ""
}

// Format writes the names, sorted as they are, without values.
func (e Environ) Format(f fmt.State, _ rune) {
	names := make([]string, 0, len(e))
	for _, assignment := range e {
		name, _, _ := strings.Cut(assignment, "=")
		names = append(names, name)
	}
	_, _ = fmt.Fprintf(f, "[%s]", strings.Join(names, " "))
}

// MarshalText returns what Format writes.
func (e Environ) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(e)), nil }
