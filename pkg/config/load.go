package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	defaultConfigDirectory = "/etc/dbacked"
	defaultState           = "/var/lib/dbacked"
	defaultStorage         = "file:///var/lib/dbacked"
	defaultPGSocket        = "/var/run/postgresql"
	stateFolder            = ".state"
)

// loader gathers the settings of one Load, and all there is to say about them.
type loader struct {
	options   Loader
	settings  []Setting
	layers    layers
	need      Need
	problems  []string
	warnings  []string
	looked    []string // where settings were looked for, in words
	missing   bool     // whether a setting is missing, so that it matters where was looked
	environ   []string
	inherited map[string]string
	config    *Config
	buckets   *S3     // once it was read
	remotes   *string // the same, of rclone's configuration
	pgSocket  string  // folder of PostgreSQL's local socket, when there is one
}

// Load returns the configuration of the instance name for a command that needs need. A flag goes before the
// environment (as of os.Environ), that before NAME.env, that before config.json; an empty value counts as not given.
//
// The name may be empty: it is then the database's name, when that can be one. All that is wrong is
// reported at once, in an *Error.
func Load(name string, flags Flags, environ []string, need Need) (*Config, error) {
	return Loader{}.Load(name, flags, environ, need)
}

// Loader is Load for a process that is more than the instance's own. Its zero value is Load.
type Loader struct {
	// Credential returns the path of an instance's credential, such as "db-password", and "" when there is none.
	// nil looks in $CREDENTIALS_DIRECTORY, where systemd puts them: see CredentialName.
	Credential func(instance, name string) string

	// FileWasRead says that NAME.env was read already, into the environment, by systemd: that this process may not
	// read it is as it should be.
	FileWasRead bool
}

// Load is the function Load with what the Loader says.
func (o Loader) Load(name string, flags Flags, environ []string, need Need) (*Config, error) {
	l := newLoader(need)
	l.options = o
	if info, err := os.Stat(defaultPGSocket); err == nil && info.IsDir() {
		l.pgSocket = defaultPGSocket
	}
	return l.load(name, flags, environ)
}

func newLoader(need Need) *loader {
	return &loader{
		settings: Settings(), need: need, inherited: map[string]string{},
		config: &Config{sources: map[string]string{}},
	}
}

func (l *loader) load(name string, flags Flags, environ []string) (*Config, error) {
	l.readFlags(flags)
	l.readEnvironment(environ)
	l.looked = []string{"flags", "the environment"}
	l.findConfigDirectory()
	jsonPath := filepath.Join(l.config.ConfigDirectory, "config.json")
	if content, ok := l.readSettingsFile(jsonPath, false); ok {
		l.readJSON(jsonPath, content)
	}
	l.findInstance(name)
	l.findCredentials()
	l.resolve()
	l.config.Environ = l.environ
	l.config.Warnings = l.warnings
	if len(l.problems) == 0 {
		return l.config, nil
	}
	wrong := &Error{Instance: l.config.Instance, Problems: l.problems}
	if l.missing {
		wrong.Hint = oneLine(l.lookedText())
	}
	return nil, wrong
}

// resolve fills the configuration from the layers.
func (l *loader) resolve() {
	l.resolveState()
	l.resolveTimeouts()
	l.resolveParallel()
	l.resolveSealing()
	l.resolveTrust()
	if l.needs(needStorage) {
		if l.serviceMode() {
			l.resolveService()
		} else {
			l.resolveStorage()
		}
	}
	if l.needs(NeedSchedule) {
		l.resolveAgent()
	}
	if l.needs(NeedRetention) || l.needs(WantRetention) {
		l.resolveRetention()
	}
	if l.needs(NeedDatabase) || l.needs(NeedLock) && l.config.Lock == LockDatabase {
		l.resolveDatabase()
	}
	if l.needs(NeedPublicKey) {
		l.resolvePublicKeys()
	}
	if l.needs(NeedPrivateKey) || l.needs(WantPrivateKey) {
		l.resolvePrivateKey()
	}
}

func (l *loader) needs(what Need) bool { return l.need&what == what }

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, oneLine(fmt.Sprintf(format, args...)))
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, oneLine(fmt.Sprintf(format, args...)))
}

// oneLine keeps a value that holds control characters, such as a terminal's escapes, from leaving its line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return '�'
		}
		return r
	}, text)
}

// wrong adds a problem with a value that was given.
func (l *loader) wrong(variable string, g given, format string, args ...any) {
	l.problem("%s, %s: %s", l.setting(variable), g.where(), fmt.Sprintf(format, args...))
}

// absent adds a problem with a setting that was not given.
func (l *loader) absent(variable string) {
	s := l.setting(variable)
	meaning, _, _ := strings.Cut(s.Meaning, ". ")
	l.problem("%s is missing: %s", s, strings.TrimSuffix(meaning, "."))
	l.missing = true
}

// get returns the value that applies, and remembers where it came from.
func (l *loader) get(variable string) (given, bool) {
	g, ok := l.layers.get(variable)
	if ok {
		l.config.sources[variable] = g.source
	}
	return g, ok
}

// textOr returns the text that applies, or fallback.
func (l *loader) textOr(variable, fallback string) (string, given) {
	if g, ok := l.get(variable); ok {
		return g.text(), g
	}
	return fallback, given{}
}
