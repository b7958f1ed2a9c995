package dumper

import (
	"fmt"
	"slices"
	"strings"
)

// mysqlSharable are the options for a dump program that change neither which
// rows a dump holds, nor what is locked, nor the form in which the rows are
// counted: each part can have them.
var mysqlSharable = []string{
	"order-by-primary", "extended-insert", "complete-insert", "hex-blob", "quick", "tz-utc", "dump-date",
	"net-buffer-length", "max-allowed-packet", "comments", "verbose",
	"routines", "events", "triggers", "column-statistics", "set-gtid-purged", "ssl-cipher",
}

// sharable refuses options with which it could not be said what the parts must
// hold together.
func (m *MySQL) sharable() error {
	for _, o := range m.tools.Options {
		name, value, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		plain, off := mysqlOptionForm(name, value)
		if !slices.Contains(mysqlSharable, plain) || off && plain == "comments" || plain == "set-gtid-purged" && !strings.EqualFold(value, "OFF") {
			return fmt.Errorf("%w: the option %s of DBACKED_DUMPER_OPTIONS may change which rows each part has, or what is locked", ErrNotShared, optionName(o))
		}
	}
	return nil
}
