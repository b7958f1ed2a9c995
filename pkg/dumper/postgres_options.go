package dumper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	pgProof   = "a backup could not be proved whole with it"
	pgPart    = "the backup would not hold the whole database"
	pgCompose = "dbacked sets this itself"
	pgAnswer  = "it makes no dump"
)

// pgRefused are pg_dump's options that a backup cannot have, and why.
var pgRefused = map[string]string{
	"enable-row-security": "rows that a policy hides would be missing without a word",
	"format":              pgProof, "file": pgProof, "jobs": pgProof,
	"compress":          "dbacked compresses: see DBACKED_COMPRESSION",
	"lock-wait-timeout": "see DBACKED_LOCK_TIMEOUT",
	"dbname":            pgCompose, "host": pgCompose, "port": pgCompose, "username": pgCompose,
	"password": pgCompose, "no-password": pgCompose,
	"schema-only": pgPart, "data-only": pgPart, "section": pgPart, "no-data": pgPart, "no-schema": pgPart, "statistics-only": pgPart,
	"help": pgAnswer, "version": pgAnswer,
}

// pgAllowed are options whose names begin one that is refused.
var pgAllowed = []string{"schema"}

// pgShort are the short forms of what is refused; pgShortValue the short options
// that take a value.
const (
	pgShortValue = "eEfFhjnNpStTUZd"
	pgOptionsVar = "DBACKED_DUMPER_OPTIONS"
)

var pgShort = map[byte]string{
	'F': "format", 'f': "file", 'j': "jobs", 'Z': "compress", 'd': "dbname", 'h': "host", 'p': "port", 'U': "username",
	'W': "password", 'w': "no-password", 's': "schema-only", 'a': "data-only", 'V': "version", '?': "help",
}

// CheckOptions refuses options for pg_dump that would defeat the proof that a
// backup is whole, or that dbacked sets itself.
func (p *Postgres) CheckOptions() error {
	options := p.tools.Options
	for i := 0; i < len(options); i++ {
		o := options[i]
		long, isLong := strings.CutPrefix(o, "--")
		switch {
		case isLong && long == "":
			return fmt.Errorf("%s: %q is refused: %s", pgOptionsVar, o, pgCompose)
		case isLong:
			if name, reason := pgRefusedLong(long); name != "" {
				return fmt.Errorf("%s: %q is refused (--%s): %s", pgOptionsVar, o, name, reason)
			}
		case len(o) > 1 && o[0] == '-':
			name, value := pgRefusedShort(o[1:])
			if name != "" {
				return fmt.Errorf("%s: %q is refused (--%s): %s", pgOptionsVar, o, name, pgRefused[name])
			}
			if value {
				i++ // the next word belongs to it
			}
		}
	}
	return nil
}

// pgRefusedLong looks up a long option; the tools take an abbreviation too.
func pgRefusedLong(option string) (name, reason string) {
	given, _, _ := strings.Cut(option, "=")
	if slices.Contains(pgAllowed, given) {
		return "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(pgRefused)) {
		if strings.HasPrefix(name, given) {
			return name, pgRefused[name]
		}
	}
	return "", ""
}

// pgRefusedShort looks at a word of short options; value says that its last one
// takes the next word.
func pgRefusedShort(word string) (name string, value bool) {
	for i := range len(word) {
		if name, ok := pgShort[word[i]]; ok {
			return name, false
		}
		if strings.IndexByte(pgShortValue, word[i]) >= 0 {
			return "", i == len(word)-1
		}
	}
	return "", false
}
