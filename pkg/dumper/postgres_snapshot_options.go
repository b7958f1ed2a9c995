package dumper

import (
	"fmt"
	"slices"
	"strings"
)

// pgSharable are the options for pg_dump that change neither which tables a dump
// holds, nor how their rows are written, nor how they are read: each part can
// have them.
var pgSharable = []string{
	"--no-owner", "-O", "--no-privileges", "--no-acl", "-x", "--no-comments", "--no-security-labels", "--no-policies",
	"--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-table-access-method", "--no-toast-compression",
	"--no-sync", "--verbose", "-v", "--quote-all-identifiers", pgNoUnlogged,
}

const pgNoUnlogged = "--no-unlogged-table-data"

// sharable refuses options with which it could not be said what the parts must
// hold together. Patterns that choose tables are among them: only pg_dump knows
// what they match.
func (p *Postgres) sharable() error {
	for _, o := range p.tools.Options {
		if !slices.Contains(pgSharable, o) {
			return fmt.Errorf("%w: the option %q of %s may change which rows each part has, or how they are written", ErrNotShared, o, pgOptionsVar)
		}
	}
	for _, entry := range p.tools.Environ {
		for _, name := range []string{"PGCLIENTENCODING=", "PGOPTIONS=", "PGSERVICE="} {
			if strings.HasPrefix(entry, name) {
				return fmt.Errorf("%w: the variable %s may make the parts differ from what this program sees", ErrNotShared, strings.TrimSuffix(name, "="))
			}
		}
	}
	return nil
}
