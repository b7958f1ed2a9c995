package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	nameRule  = "a letter or digit, then at most 62 letters, digits, dots, dashes or underscores"
	envSuffix = ".env"
	// maxNames bounds the names that a message lists.
	maxNames = 8
)

// ValidName tells whether name can be an instance's: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}.
func ValidName(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`).MatchString(name)
}

func (l *loader) findConfigDirectory() {
	directory, g := l.textOr(varConfigDirectory, defaultConfigDirectory)
	absolute, err := filepath.Abs(directory)
	if err != nil {
		l.wrong(varConfigDirectory, g, "the current folder cannot be told: give an absolute path")
		absolute = directory
	}
	l.config.ConfigDirectory = absolute
	if g.source == "" {
		return
	}
	switch info, err := os.Stat(absolute); {
	case err != nil:
		l.wrong(varConfigDirectory, g, "%s: %s", absolute, fileError(err))
	case !info.IsDir():
		l.wrong(varConfigDirectory, g, "%s is not a folder", absolute)
	}
}

// findInstance settles the name and reads its env file.
func (l *loader) findInstance(name string) {
	switch {
	case name == "":
		name = l.databaseName()
	case !ValidName(name):
		l.problem("%q cannot be a NAME: a NAME is %s", name, nameRule)
		return
	}
	if name == "" {
		return
	}
	l.config.Instance = name
	path := l.envPath(name)
	content, ok := l.readSettingsFile(path, l.options.FileWasRead)
	if ok {
		l.readEnvFile(path, content)
	}
}

// databaseName returns the database's name when it can serve as the NAME that was left out.
func (l *loader) databaseName() string {
	g, ok := l.layers.get(varDBName)
	if ok && ValidName(g.text()) {
		return g.text()
	}
	if !l.needs(NeedInstance) {
		return ""
	}
	reason := ""
	if ok {
		reason = fmt.Sprintf(" (the database's name, %q, cannot serve as one: a NAME is %s)", g.text(), nameRule)
	}
	l.problem("NAME is missing: give it after the command, as in \"dbacked backup shop\"%s%s", reason, l.namesText("; "))
	return ""
}

func (l *loader) envPath(name string) string {
	return filepath.Join(l.config.ConfigDirectory, name+envSuffix)
}

// readSettingsFile reads a file that may be missing. A file that is there and cannot be read is a problem: what
// somebody set in it must not silently not apply; but wasRead says that it was applied already.
func (l *loader) readSettingsFile(path string, wasRead bool) ([]byte, bool) {
	info, err := os.Stat(path)
	if err != nil {
		l.looked = append(l.looked, fmt.Sprintf("%s (%s)", path, fileError(err)))
		if errors.Is(err, fs.ErrPermission) && !wasRead {
			l.warn("%s: %s; if it exists, it does not apply", path, fileError(err))
		}
		return nil, false
	}
	if !info.Mode().IsRegular() {
		l.problem("%s is not a regular file", path)
		return nil, false
	}
	content, worldReadable, err := readFile(path)
	if wasRead && errors.Is(err, errNoPermission) {
		return nil, false
	}
	if err != nil {
		l.problem("%s: %s", path, fileError(err))
		return nil, false
	}
	if worldReadable && holdsSecret(content) {
		l.warn("%s holds secrets and every user of this machine can read it: chmod 600 %s", path, path)
	}
	l.looked = append(l.looked, path)
	return content, true
}

// holdsSecret guesses by names that a file of settings holds something worth hiding.
func holdsSecret(content []byte) bool {
	names := regexp.MustCompile(`(?i)(?:password|passphrase|secret|token|apikey|private_?key)(\w*)"?\s*[=:]`)
	for _, match := range names.FindAllSubmatch(content, -1) {
		rest := strings.ToLower(string(match[1]))
		if !strings.HasSuffix(rest, "file") && !strings.HasSuffix(rest, "path") {
			return true
		}
	}
	return false
}

// lookedText says where missing settings were looked for, and which NAME may have been meant.
func (l *loader) lookedText() string {
	text := "looked for these in " + strings.Join(l.looked, ", ")
	if l.config.Instance == "" {
		return text + "; no NAME.env was read, since no NAME was given" + l.namesText("; ")
	}
	if _, err := os.Stat(l.envPath(l.config.Instance)); err == nil {
		return text
	}
	return text + l.namesText("; ")
}

// namesText lists the names that have an env file, or only the one that is nearly the instance's.
func (l *loader) namesText(before string) string {
	var names []string
	files, _ := os.ReadDir(l.config.ConfigDirectory)
	for _, file := range files {
		name, found := strings.CutSuffix(file.Name(), envSuffix)
		if found && ValidName(name) && name != l.config.Instance {
			names = append(names, name)
		}
	}
	if near, ok := nearest(strings.TrimSuffix(l.config.Instance, envSuffix), names); ok && l.config.Instance != "" {
		return fmt.Sprintf("%sdid you mean %s?", before, near)
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return ""
	case len(names) > maxNames:
		names = append(names[:maxNames], "…")
	}
	return fmt.Sprintf("%sthese have a file in %s: %s", before, l.config.ConfigDirectory, strings.Join(names, ", "))
}
