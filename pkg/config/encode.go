package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Assignment is one variable of NAME.env.
type Assignment struct{ Name, Value string }

// EncodeEnv writes assignments as systemd and Load read them back, each on a line of its own; a value of several
// lines goes over several. A value that neither could read is an error, which does not hold it.
func EncodeEnv(assignments []Assignment) ([]byte, error) {
	var out strings.Builder
	for _, a := range assignments {
		switch {
		case !isVariable(a.Name):
			return nil, fmt.Errorf("%q is no name for a variable", a.Name)
		case !systemdUTF8(a.Value):
			return nil, fmt.Errorf("%s: the value is not valid UTF-8, so it cannot stand in an env file", a.Name)
		case strings.ContainsRune(a.Value, 0):
			return nil, fmt.Errorf("%s: the value holds a NUL character, so it cannot stand in an env file", a.Name)
		}
		fmt.Fprintf(&out, "%s=%s\n", a.Name, encodeValue(a.Value))
	}
	return []byte(out.String()), nil
}

// encodeValue quotes what is not plain. Inside of double quotes, a backslash before these four is all that is
// special; a line's end is kept.
func encodeValue(value string) string {
	if regexp.MustCompile(`\A[A-Za-z0-9_./:@%+,=-]+\z`).MatchString(value) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(value) + `"`
}

// ReadEnv returns what a file in the format of NAME.env sets, whatever the variables are; of a name that is there
// twice, the last.
func ReadEnv(path string) ([]Assignment, error) {
	content, _, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	entries, notes := parseEnv(content)
	for _, n := range checkEnv(content, entries, notes) {
		if n.fatal {
			return nil, fmt.Errorf("%s:%d: %s", path, n.line, n.text)
		}
	}
	var out []Assignment
	for _, e := range entries {
		out = slices.DeleteFunc(out, func(a Assignment) bool { return a.Name == e.name })
		out = append(out, Assignment{e.name, e.value})
	}
	return out, nil
}

// Former is what the former agent's config.json holds.
type Former struct {
	Settings []Assignment // those that mean something here, by their variables
	AgentID  string
	Warnings []string // what has no effect, a line each
}

// ReadFormer reads a config.json of the former agent, as Load does with the one in the configuration folder.
func ReadFormer(path string) (*Former, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, fileError(err))
	}
	l := newLoader(0)
	if content, ok := l.readSettingsFile(path, false); ok {
		l.readJSON(path, content)
	}
	if len(l.problems) > 0 {
		return nil, errors.New(strings.Join(l.problems, "; "))
	}
	f := &Former{AgentID: l.config.AgentID, Warnings: l.warnings}
	for _, s := range l.settings {
		if g, ok := l.layers[fromJSON][s.Variable]; ok {
			f.Settings = append(f.Settings, Assignment{s.Variable, g.text()})
		}
	}
	return f, nil
}

// Given returns what flags give, by the variables, in the order of Settings. What was given several times is
// joined by line ends, which PEM blocks and lists of keys allow.
func (f Flags) Given() []Assignment {
	var out []Assignment
	for _, s := range Settings() {
		if texts := s.texts(f); len(texts) > 0 {
			out = append(out, Assignment{s.Variable, strings.Join(texts, "\n")})
		}
	}
	return out
}

// PublicKeyPEM returns the PEM text of a public key, or several, given as such or as a file's path, repaired as Load
// does. It refuses what is no public key.
func PublicKeyPEM(text string) (string, error) {
	l := newLoader(0)
	repaired := l.publicKey(given{origin: fromFlags}, text)
	if len(l.problems) > 0 {
		_, reason, _ := strings.Cut(l.problems[0], ": ")
		return "", errors.New(reason)
	}
	return repaired, nil
}
