package config

import (
	"fmt"
	"strings"
)

// origin is one of the places that settings come from; the first that has a value wins.
type origin int

const (
	fromFlags origin = iota
	fromEnvironment
	fromEnvFile
	fromCredentials
	fromJSON
	origins
)

// given is a value somewhere: several texts only for a flag that was given several times.
type given struct {
	texts  []string
	origin origin
	source string // for people, and Config.Source
}

func (g given) text() string { return strings.Join(g.texts, " ") }

func (g given) where() string {
	switch g.origin {
	case fromFlags:
		return "given as a flag"
	case fromEnvironment:
		return "set in the environment"
	}
	return "set in " + g.source
}

// layers holds the values of each origin by the setting's variable. Empty values are not held: they count as
// not given, so that NAME.env applies below a variable that a container's template left empty.
type layers [origins]map[string]given

func (l *layers) put(at origin, variable, source string, texts ...string) {
	if len(texts) == 0 || len(texts) == 1 && texts[0] == "" {
		return
	}
	if l[at] == nil {
		l[at] = map[string]given{}
	}
	l[at][variable] = given{texts: texts, origin: at, source: source}
}

func (l *layers) get(variable string) (given, bool) {
	for _, layer := range l {
		if g, ok := layer[variable]; ok {
			return g, true
		}
	}
	return given{}, false
}

func (l *loader) readFlags(flags Flags) {
	for _, s := range l.settings {
		l.layers.put(fromFlags, s.Variable, s.Flag, s.texts(flags)...)
	}
	for _, variable := range []string{varDBPassword, varAPIKey, varPingURL} {
		if g, ok := l.layers[fromFlags][variable]; ok {
			l.warn("%s as a flag is visible to every user of this machine in ps: use %s-file, %s or %s in the env file",
				g.source, g.source, variable+fileSuffix, variable)
		}
	}
}

func (l *loader) readEnvironment(environ []string) {
	for _, assignment := range environ {
		name, value, found := strings.Cut(assignment, "=")
		switch {
		case !found || name == "":
		case !isOwn(name):
			if !strings.HasPrefix(name, testPrefix) {
				l.environ = append(l.environ, assignment)
				l.inherited[name] = value
			}
		case l.isSetting(name):
			delete(l.layers[fromEnvironment], name) // of a name that is there twice, the last applies
			l.layers.put(fromEnvironment, name, "environment", value)
		default:
			l.problem("environment: %s", unknownText(name, l.settings))
		}
	}
}

// readEnvFile takes the content of NAME.env apart.
func (l *loader) readEnvFile(path string, content []byte) {
	entries, notes := parseEnv(content)
	for _, n := range checkEnv(content, entries, notes) {
		text := fmt.Sprintf("%s:%d: %s", path, n.line, n.text)
		if n.fatal {
			l.problem("%s", text)
		} else {
			l.warn("%s", text)
		}
	}
	more := map[string]string{}
	var order []string
	for _, e := range entries {
		source := fmt.Sprintf("%s:%d", path, e.line)
		switch {
		case !isVariable(e.name):
		case e.name == varConfigDirectory:
			l.problem("%s: %s cannot move the folder that this file was found in: use the flag or the environment", source, e.name)
		case l.isSetting(e.name):
			delete(l.layers[fromEnvFile], e.name)
			l.layers.put(fromEnvFile, e.name, source, e.value)
		case isOwn(e.name):
			l.problem("%s: %s", source, unknownText(e.name, l.settings))
		case !strings.HasPrefix(e.name, testPrefix):
			if l.isSetting(prefix + e.name) {
				l.warn("%s: %s is not dbacked's, did you mean %s?", source, e.name, prefix+e.name)
			}
			if _, twice := more[e.name]; !twice {
				order = append(order, e.name)
			}
			more[e.name] = e.value
		}
	}
	for _, name := range order {
		if _, inherited := l.inherited[name]; !inherited {
			l.environ = append(l.environ, name+"="+more[name])
		}
	}
}

func (l *loader) isSetting(variable string) bool {
	for _, s := range l.settings {
		if s.Variable == variable {
			return true
		}
	}
	return false
}

// setting returns the setting of a variable that is known to be one.
func (l *loader) setting(variable string) Setting {
	for _, s := range l.settings {
		if s.Variable == variable {
			return s
		}
	}
	return Setting{Variable: variable}
}
