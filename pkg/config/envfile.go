package config

import (
	"fmt"
	"strings"
)

// entry is one assignment of an env file, as systemd would hand it on.
type entry struct {
	line        int // where its name begins, from 1
	name, value string
}

// envState is what the reader of an env file is in the middle of.
type envState int

const (
	beforeName envState = iota
	inName
	beforeValue
	inValue
	inValueEscape
	inSingleQuotes
	inDoubleQuotes
	inDoubleQuotesEscape
	inComment
)

const (
	newlines = "\n\r"
	blanks   = " \t\n\r"
	// escapable are the only characters before which a backslash inside double quotes goes away.
	escapable = "\"\\`$"
)

// envReader reads the format of systemd's EnvironmentFile= byte by byte. It is a state machine and not a
// reader of lines since quotes, and backslashes at a line's end, carry a value over several lines.
type envReader struct {
	state       envState
	line        int // of the byte at hand
	nameLine    int
	name, value []byte
	// nameEnd and valueEnd are where trailing blanks begin, or -1: blanks inside are kept, at the end dropped.
	nameEnd, valueEnd int
	previous          byte
	entries           []entry
	notes             []note
}

// parseEnv returns the assignments in text in the order of the file, a name given twice twice, exactly as
// systemd reads them, and notes about lines that systemd would skip or that rarely mean what they say.
func parseEnv(text []byte) ([]entry, []note) {
	r := &envReader{line: 1, nameEnd: -1, valueEnd: -1}
	for _, c := range text {
		r.step(c)
		if c == '\n' {
			r.line++
		}
		r.previous = c
	}
	r.finish()
	return r.entries, r.notes
}

func (r *envReader) step(c byte) {
	switch r.state {
	case beforeName:
		r.stepBeforeName(c)
	case inName:
		r.stepName(c)
	case beforeValue:
		r.stepBeforeValue(c)
	case inValue:
		r.stepValue(c)
	case inValueEscape:
		r.state = inValue
		if !isIn(newlines, c) {
			r.value = append(r.value, c)
		}
	case inSingleQuotes:
		if c == '\'' {
			r.state = beforeValue
		} else {
			r.value = append(r.value, c)
		}
	case inDoubleQuotes, inDoubleQuotesEscape:
		r.stepDoubleQuotes(c)
	case inComment:
		r.stepComment(c)
	}
}

func (r *envReader) stepBeforeName(c byte) {
	switch {
	case c == '#' || c == ';':
		r.state = inComment
	case !isIn(blanks, c):
		r.state, r.nameLine = inName, r.line
		r.name, r.nameEnd = append(r.name[:0], c), -1
		r.value, r.valueEnd = r.value[:0], -1
	}
}

func (r *envReader) stepName(c byte) {
	switch {
	case isIn(newlines, c):
		r.note(r.nameLine, true, noteNoEquals)
		r.state = beforeName
	case c == '=':
		r.state = beforeValue
	default:
		r.nameEnd = trailing(r.nameEnd, len(r.name), c)
		r.name = append(r.name, c)
	}
}

// stepBeforeValue is also where the reader is after a closing quote: what follows it is joined to the value.
func (r *envReader) stepBeforeValue(c byte) {
	switch {
	case isIn(newlines, c):
		r.push()
	case c == '\'':
		r.state = inSingleQuotes
	case c == '"':
		r.state = inDoubleQuotes
	case c == '\\':
		r.state = inValueEscape
	case !isIn(blanks, c):
		r.noteHash(c)
		r.state = inValue
		r.value = append(r.value, c)
	}
}

func (r *envReader) stepValue(c byte) {
	switch {
	case isIn(newlines, c):
		r.chomp()
		r.push()
	case c == '\\':
		r.state, r.valueEnd = inValueEscape, -1
	default:
		r.noteHash(c)
		r.valueEnd = trailing(r.valueEnd, len(r.value), c)
		r.value = append(r.value, c)
	}
}

func (r *envReader) stepDoubleQuotes(c byte) {
	switch {
	case r.state == inDoubleQuotesEscape:
		r.state = inDoubleQuotes
		if isIn(escapable, c) {
			r.value = append(r.value, c)
		} else if c != '\n' {
			r.value = append(r.value, '\\', c)
		}
	case c == '"':
		r.state = beforeValue
	case c == '\\':
		r.state = inDoubleQuotesEscape
	default:
		r.value = append(r.value, c)
	}
}

// stepComment ends a comment with its line, as systemd does since version 254. Before, a backslash at the end
// made the next line part of the comment, so such a line is worth a note.
func (r *envReader) stepComment(c byte) {
	if !isIn(newlines, c) {
		return
	}
	if c == '\n' && r.previous == '\\' {
		r.note(r.line, false, noteCommentBackslash)
	}
	r.state = beforeName
}

// finish hands on the value that the file's end cuts: systemd takes it, whatever it is in the middle of.
func (r *envReader) finish() {
	switch r.state {
	case beforeName, inComment:
		return
	case inName:
		r.note(r.nameLine, true, noteNoEquals)
		return
	case inValue:
		r.chomp()
	case inSingleQuotes, inDoubleQuotes, inDoubleQuotesEscape:
		r.note(r.nameLine, true, noteOpenQuote)
	}
	r.push()
}

func (r *envReader) chomp() {
	if r.valueEnd >= 0 {
		r.value = r.value[:r.valueEnd]
	}
}

func (r *envReader) push() {
	name := r.name
	if r.nameEnd >= 0 {
		name = name[:r.nameEnd]
	}
	r.entries = append(r.entries, entry{line: r.nameLine, name: string(name), value: string(r.value)})
	r.state = beforeName
}

func (r *envReader) noteHash(c byte) {
	if c == '#' && isIn(" \t", r.previous) {
		r.note(r.line, false, noteHash)
	}
}

func (r *envReader) note(line int, fatal bool, text string) {
	r.notes = append(r.notes, note{line: line, fatal: fatal, text: text})
}

// trailing returns where the blanks begin that c continues, begins (at) or, being none, ends.
func trailing(from, at int, c byte) int {
	switch {
	case !isIn(blanks, c):
		return -1
	case from < 0:
		return at
	}
	return from
}

func isIn(set string, c byte) bool { return strings.IndexByte(set, c) >= 0 }

// EnvFile reads a file in the format of systemd's EnvironmentFile= that is not an
// instance's. What systemd would skip or refuse is an error.
func EnvFile(text []byte) (map[string]string, error) {
	entries, notes := parseEnv(text)
	for _, n := range checkEnv(text, entries, notes) {
		if n.fatal {
			return nil, fmt.Errorf("line %d: %s", n.line, n.text)
		}
	}
	values := make(map[string]string, len(entries))
	for _, e := range entries {
		values[e.name] = e.value
	}
	return values, nil
}
