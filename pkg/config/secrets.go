package config

import "strings"

// secret returns a secret that is given itself or as a file. Of one place only one form may be given; a form in
// a higher place goes before both in a lower one. The boolean is false when there is none, or it was wrong.
func (l *loader) secret(variable string) (Secret, bool) {
	for _, layer := range l.layers {
		itself, isGiven := layer[variable]
		file, isFile := layer[variable+fileSuffix]
		switch {
		case isGiven && isFile:
			l.problem("%s and %s are both given (%s, %s): remove one",
				l.setting(variable), l.setting(variable+fileSuffix), itself.where(), file.where())
			return Secret{}, false
		case isGiven:
			l.config.sources[variable] = itself.source
			return l.checkSecret(variable, itself, itself.text())
		case isFile:
			l.config.sources[variable] = file.source
			l.config.sources[variable+fileSuffix] = file.source
			return l.secretFile(variable+fileSuffix, file)
		}
	}
	return Secret{}, false
}

// secretFile reads a secret without its one trailing newline.
func (l *loader) secretFile(variable string, g given) (Secret, bool) {
	if looksLikePEM(g.text()) {
		l.wrong(variable, g, "it takes a file's path, not the key: write the key to a file of mode 0600")
		return Secret{}, false
	}
	path, ok := l.path(variable, g, g.text())
	if !ok {
		return Secret{}, false
	}
	content, worldReadable, err := readFile(path)
	if err != nil {
		l.wrong(variable, g, "%s: %s", path, err)
		return Secret{}, false
	}
	if worldReadable {
		l.warn("%s", worldReadableText(l.setting(variable), path))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		l.wrong(variable, g, "%s is empty", path)
		return Secret{}, false
	}
	return l.checkSecret(variable, g, text)
}

// checkSecret refuses what no password can hold.
func (l *loader) checkSecret(variable string, g given, text string) (Secret, bool) {
	if strings.ContainsRune(text, 0) {
		l.wrong(variable, g, "the secret holds a NUL byte, so it is not text")
		return Secret{}, false
	}
	return NewSecret(text), true
}
