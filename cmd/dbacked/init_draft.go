package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/config"
)

// nowhere is a folder that never holds settings: what is tried is the draft,
// and nothing that lies about.
const nowhere = "/proc/self"

// draft is NAME.env before it is written.
type draft struct {
	name    string
	values  map[string]string   // settings by their variables
	settled map[string]bool     // those that need not be asked for
	more    []config.Assignment // what the tools get, from a file that is written anew
}

// newDraft takes the answers that flags give, then those of the environment.
func newDraft(i *initCommand, environ []string) (*draft, error) {
	d := &draft{name: i.Name, values: map[string]string{}, settled: map[string]bool{}}
	flags := config.Flags{
		CommonFlags: i.CommonFlags, DatabaseFlags: i.DatabaseFlags, StorageFlags: i.StorageFlags,
		SealFlags: i.SealFlags, TimeoutFlags: i.TimeoutFlags, ScheduleFlags: i.ScheduleFlags,
	}
	for _, s := range config.Settings() {
		opens := strings.HasPrefix(s.Variable, "DBACKED_PRIVATE_KEY") || s.Variable == "DBACKED_TRUST"
		if value := valueOf(environ, s.Variable); value != "" && !opens && s.Variable != "DBACKED_CONFIG_DIRECTORY" {
			d.give(s.Variable, value)
		}
	}
	given := flags.Given()
	for _, g := range given {
		for _, other := range insteadOf(g.Name) {
			delete(d.values, other)
		}
	}
	for _, g := range given {
		d.give(g.Name, g.Value)
	}
	delete(d.values, "DBACKED_CONFIG_DIRECTORY")
	if d.isService() {
		d.settled["DBACKED_STORAGE"] = true
	}
	return d, errors.Join(d.publicKeys(i.PublicKey), d.absolute())
}

// publicKeys joins what may be PEM and paths.
func (d *draft) publicKeys(texts []string) error {
	if len(texts) == 1 && !strings.Contains(texts[0], "-----BEGIN") {
		path, err := filepath.Abs(expand(texts[0]))
		d.give("DBACKED_PUBLIC_KEY", path)
		return err
	}
	var all strings.Builder
	for _, text := range texts {
		pem, err := config.PublicKeyPEM(text)
		if err != nil {
			return d.problemIs("DBACKED_PUBLIC_KEY (--public-key): " + err.Error())
		}
		all.WriteString(pem)
	}
	if all.Len() > 0 {
		d.give("DBACKED_PUBLIC_KEY", all.String())
	}
	return nil
}

// absolute completes paths, which the service would look for elsewhere, and
// takes the password and the key of a service out of their files, which dbacked's own
// service may not be able to read.
func (d *draft) absolute() error {
	if d.values["DBACKED_STORAGE"] != "" {
		d.values["DBACKED_STORAGE"] = folderURL(d.values["DBACKED_STORAGE"])
	}
	for _, variable := range []string{
		"DBACKED_STATE_DIRECTORY", "DBACKED_DB_TLS_CA", "DBACKED_DB_TLS_CERT", "DBACKED_DB_TLS_KEY", "DBACKED_PING_URL_FILE", "DBACKED_DB_PASSWORD_FILE", "DBACKED_APIKEY_FILE",
	} {
		if d.values[variable] != "" {
			path, err := filepath.Abs(d.values[variable])
			if err != nil {
				return err
			}
			d.values[variable] = path
		}
	}
	for _, variable := range []string{"DBACKED_DB_PASSWORD", "DBACKED_APIKEY"} {
		file, ok := d.values[variable+"_FILE"]
		if !ok {
			continue
		}
		text, err := secretFrom(file)
		if err != nil {
			return d.problemIs(settingOf(variable+"_FILE") + ": " + err.Error())
		}
		delete(d.values, variable+"_FILE")
		d.give(variable, text)
	}
	return nil
}

// give settles a value.
func (d *draft) give(variable, value string) {
	d.values[variable], d.settled[variable] = value, true
}

// offer is a value to propose, if there is none yet.
func (d *draft) offer(variable, value string) {
	if d.values[variable] == "" {
		d.values[variable] = value
	}
}

// environ is the draft as an environment.
func (d *draft) environ() []string {
	environ := []string{"DBACKED_CONFIG_DIRECTORY=" + nowhere}
	for _, a := range d.assignments() {
		environ = append(environ, a.Name+"="+a.Value)
	}
	return environ
}

// assignments is the draft as NAME.env has it, in the order of the manual.
func (d *draft) assignments() []config.Assignment {
	var out []config.Assignment
	for _, s := range config.Settings() {
		if value := d.values[s.Variable]; value != "" {
			out = append(out, config.Assignment{Name: s.Variable, Value: value})
		}
	}
	return append(out, d.more...)
}

const everything = config.NeedDatabase | config.NeedPublicKey | config.NeedStorage | config.NeedSchedule

// load is the draft, checked.
func (d *draft) load(need config.Need) (*config.Config, error) {
	return config.Load(d.name, config.Flags{}, d.environ(), need)
}

// take adopts what a file sets as proposals: of the settings by their names, and
// of others for the tools.
func (d *draft) take(assignments []config.Assignment) {
	for _, a := range assignments {
		known := slices.ContainsFunc(config.Settings(), func(s config.Setting) bool { return s.Variable == a.Name })
		switch {
		case slices.ContainsFunc(insteadOf(a.Name), func(other string) bool { return d.values[other] != "" }):
		case a.Name == "DBACKED_PING_URL" && d.values[a.Name+"_FILE"] != "", a.Name == "DBACKED_PING_URL_FILE" && d.values["DBACKED_PING_URL"] != "":
		case known:
			d.offer(a.Name, a.Value)
		case !strings.HasPrefix(a.Name, "DBACKED_"):
			d.more = append(d.more, a)
		}
	}
}

// secretFrom reads a secret from a file or a pipe.
func secretFrom(path string) (string, error) {
	c, err := config.Load("", config.Flags{}, []string{
		"DBACKED_CONFIG_DIRECTORY=" + nowhere, "DBACKED_DB_TYPE=pg", "DBACKED_DB_NAME=x", "DBACKED_DB_USERNAME=x", "DBACKED_DB_PASSWORD_FILE=" + path,
	}, config.NeedDatabase)
	if err != nil {
		if wrong, ok := errors.AsType[*config.Error](err); ok {
			_, reason, _ := strings.Cut(wrong.Problems[0], ": ")
			return "", errors.New(reason)
		}
		return "", err
	}
	return c.Database.Password.Reveal(), nil
}

// valueOf is a variable of an environment.
func valueOf(environ []string, variable string) string {
	for _, assignment := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(assignment, variable+"="); ok {
			return value
		}
	}
	return ""
}

// expand lets a person write ~ for the home folder.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}
