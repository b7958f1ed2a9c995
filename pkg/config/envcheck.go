package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// note is something to say about one line of an env file. A fatal one makes Load fail: systemd would skip the
// line (or refuse the file), so a setting that somebody wrote would silently not apply.
type note struct {
	line  int
	fatal bool
	text  string
}

const (
	noteNoEquals = `there is no "=" in this line, so it sets nothing: write NAME=value, begin comments with "#", ` +
		`and put a value of several lines in double quotes`
	noteOpenQuote = "the quote that opens in this value is never closed, so the rest of the file became part of it: " +
		"close it, or write \\\" for a quote inside of double quotes"
	noteHash = `the "#" is part of the value, since comments stand on lines of their own: ` +
		"move the comment, or put the value in quotes if it is meant"
	noteCommentBackslash = "this comment ends in a backslash: systemd before 254 takes the next line as part of it, " +
		"dbacked and newer systemd do not; remove the backslash"
	noteNul  = "the file holds a NUL byte, so it is no text file: write it again as UTF-8 text"
	noteUTF8 = "this value is not valid UTF-8, which systemd refuses: save the file as UTF-8"
)

// checkEnv adds what is to say about entries that were read well but that systemd would skip or refuse.
func checkEnv(text []byte, entries []entry, notes []note) []note {
	if at := bytes.IndexByte(text, 0); at >= 0 {
		notes = append(notes, note{line: 1 + bytes.Count(text[:at], []byte("\n")), fatal: true, text: noteNul})
	}
	seen := map[string]int{}
	for _, e := range entries {
		switch {
		case !isVariable(e.name):
			notes = append(notes, note{line: e.line, fatal: true, text: badNameText(e.name)})
			continue
		case !systemdUTF8(e.value):
			notes = append(notes, note{line: e.line, fatal: true, text: noteUTF8})
		}
		if first, twice := seen[e.name]; twice {
			text := fmt.Sprintf("%s was already set in line %d: this one applies, remove the other", e.name, first)
			notes = append(notes, note{line: e.line, text: text})
		}
		seen[e.name] = e.line
	}
	return notes
}

// badNameText says what is wrong with a name. It prints only names that cannot be the tail of a key or a
// password of several lines.
func badNameText(name string) string {
	bare := strings.TrimPrefix(name, "\ufeff")
	switch {
	case bare != name:
		return "the file begins with a byte order mark: save it as UTF-8 without one"
	case strings.HasPrefix(name, "export ") || strings.HasPrefix(name, "export\t"):
		return `"export" is the shell's: write NAME=value alone`
	case strings.HasPrefix(strings.ToUpper(name), "DBACKED") && len(name) < 64 && systemdUTF8(name):
		return fmt.Sprintf("%q is no name for a variable: only letters, digits and _ may stand before the \"=\"", name)
	}
	return `what stands before the "=" is no name for a variable (letters, digits and _ only): ` +
		"put a value of several lines in double quotes"
}

// isVariable tells a name that systemd takes for an environment variable.
func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// systemdUTF8 is utf8.ValidString without Unicode's noncharacters, which systemd refuses too.
func systemdUTF8(text string) bool {
	for _, r := range text {
		if r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE {
			return false
		}
	}
	return utf8.ValidString(text)
}
