package dumper

import (
	"fmt"
	"strings"
)

// CheckOptions refuses options for the dump program that would defeat the proof
// that a dump is whole, change what is dumped, or where from. An option is
// refused under every spelling that the programs take: cut short, with "_" for
// "-", after "skip-", "disable-", "enable-" or "loose-".
func (m *MySQL) CheckOptions() error {
	for _, o := range m.tools.Options {
		if err := checkMySQLOption(o); err != nil {
			return fmt.Errorf("the dumper option %s cannot be used: %w", optionName(o), err)
		}
	}
	return nil
}

// optionName is an option without its value, which could be a secret.
func optionName(option string) string {
	name, _, _ := strings.Cut(option, "=")
	return name
}

func checkMySQLOption(option string) error {
	if !strings.HasPrefix(option, "--") || option == "--" {
		return fmt.Errorf("write it in its long form, with its value behind a \"=\": --ignore-table=db.t")
	}
	name, value, _ := strings.Cut(option[2:], "=")
	name, off := mysqlOptionForm(name, value)
	for refused, why := range mysqlRefused() {
		if strings.HasPrefix(refused, name) && !mysqlHarmless(name) {
			return fmt.Errorf("%s", why)
		}
	}
	for needed, why := range mysqlNeeded() {
		if off && strings.HasPrefix(needed, name) {
			return fmt.Errorf("%s", why)
		}
	}
	return nil
}

// mysqlOptionForm is an option's plain name, and whether it is turned off.
func mysqlOptionForm(name, value string) (plain string, off bool) {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	name = strings.TrimPrefix(name, "loose-")
	switch strings.ToLower(value) {
	case "0", "false", "off":
		off = true
	}
	for _, prefix := range []string{"skip-", "disable-"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest, true
		}
	}
	for _, prefix := range []string{"enable-", "maximum-"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name, off
}

// leftOut says whether the options leave out a kind of object ("routines").
func (m *MySQL) leftOut(kind string) bool {
	out := false
	for _, o := range m.tools.Options {
		name, value, _ := strings.Cut(strings.TrimPrefix(o, "--"), "=")
		if plain, off := mysqlOptionForm(name, value); plain == kind {
			out = off
		}
	}
	return out
}

// mysqlHarmless names options that are exactly these, though a refused one
// begins like them.
func mysqlHarmless(name string) bool {
	switch name {
	case "ssl-cipher", "ssl-crl", "flush-logs", "comments":
		return true
	}
	return false
}

// mysqlRefused are options that are not taken, and why.
func mysqlRefused() map[string]string {
	const (
		proof   = "a dump that was cut could not be told from a whole one"
		target  = "what is dumped, and from where, is said by dbacked's own settings (DBACKED_DB_…)"
		output  = "the dump would not reach dbacked"
		partial = "the dump would not hold the whole database"
		replay  = "a restore would change more than the database"
	)
	return map[string]string{
		"compact": proof, "force": proof, "ignore-error": proof, "log-error": proof, "xml": proof,
		"result-file": output, "tab": output, "debug": output, "help": output, "version": output,
		"host": target, "port": target, "socket": target, "protocol": target, "pipe": target, "user": target, "users": target,
		"password": target, "password1": target, "password2": target, "password3": target, "login-path": target, "no-login-paths": target,
		"defaults-file": target, "defaults-extra-file": target, "defaults-group-suffix": target, "no-defaults": target, "print-defaults": target,
		"all-databases": target, "databases": target, "tables": target, "system": target, "dns-srv-name": target,
		"ssl": target, "ssl-mode": target, "ssl-ca": target, "ssl-capath": target, "ssl-cert": target, "ssl-key": target,
		"ssl-verify-server-cert": target, "ssl-fp": target, "ssl-fplist": target,
		"where": partial, "no-create-info": partial,
		"no-set-names": "text would be restored wrongly", "default-character-set": "text would be restored wrongly",
		"compatible":         "a restore would not give the same tables",
		"init-command":       "dbacked sets the session's limits by it: use --init-command-add",
		"master-data":        replay,
		"source-data":        replay,
		"dump-slave":         replay,
		"dump-replica":       replay,
		"delete-master-logs": "it would delete the server's logs", "delete-source-logs": "it would delete the server's logs",
		"apply-slave-statements": replay, "apply-replica-statements": replay, "flush-privileges": replay,
		"add-drop-database": replay, "add-drop-user": replay, "max-allowed-packet": "dbacked sets it to the highest there is",
	}
}

// mysqlNeeded are options that may not be turned off, and why.
func mysqlNeeded() map[string]string {
	const fidelity = "a restore would not give the same data"
	return map[string]string{
		"comments":           "it drops the closing line that shows that the dump is whole",
		"single-transaction": "the dump would not be of one moment",
		"quick":              "the tool would hold whole tables in memory",
		"opt":                "it turns off options that a restore needs: turn off the one that you mean",
		"hex-blob":           fidelity, "set-charset": fidelity, "quote-names": fidelity, "create-options": fidelity, "tz-utc": fidelity,
	}
}
