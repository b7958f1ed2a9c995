package config

import "strings"

// resolvePublicKeys gathers the PEM of every public key: a flag may be given several times, each time with PEM
// or a path, and each PEM text may hold several blocks.
func (l *loader) resolvePublicKeys() {
	g, ok := l.get(varPublicKey)
	if !ok {
		if !l.config.Storage.IsService() { // where the project has one
			l.absent(varPublicKey)
		}
		return
	}
	var all strings.Builder
	for _, text := range g.texts {
		all.WriteString(l.publicKey(g, text))
	}
	l.config.Keys.PublicKeys = all.String()
}

func (l *loader) publicKey(g given, text string) string {
	where := "it"
	if !looksLikePEM(text) {
		path, ok := l.path(varPublicKey, g, text)
		if !ok {
			return ""
		}
		content, _, err := readFile(path)
		if err != nil {
			l.wrong(varPublicKey, g, "it is not PEM text, and as a file %s: %s", shownPath(path), err)
			return ""
		}
		text, where = string(content), path
	}
	if holdsPrivateKey(text) {
		l.wrong(varPublicKey, g, "%s holds a private key, which must not be on the machine that makes backups: "+
			"give the public one (openssl pkey -in private.pem -pubout)", where)
		return ""
	}
	repaired, err := repairPEM(text)
	if err != nil {
		l.wrong(varPublicKey, g, "%s: %s", where, err)
	}
	return repaired
}

// shownPath returns a path for a message, but not a text that is rather a key without its first line.
func shownPath(path string) string {
	const longest = 200
	if len(path) > longest || strings.ContainsAny(path, "\r\n\t ") {
		return "the given text"
	}
	return path
}

func (l *loader) resolvePrivateKey() {
	l.config.Keys.Passphrase, _ = l.secret(varPassphrase)
	before := len(l.problems)
	key, ok := l.secret(varPrivateKey)
	if !ok {
		if l.needs(NeedPrivateKey) && before == len(l.problems) {
			l.absentPrivateKey()
		}
		return
	}
	g := l.privateKeyOrigin()
	text := key.Reveal()
	// The variable takes a path too, and PEM only if it looks like it.
	if !looksLikePEM(text) && l.config.sources[varPrivateKey+fileSuffix] == "" {
		if key, ok = l.privateKeyFile(g, text); !ok {
			return
		}
		text = key.Reveal()
	}
	repaired, err := repairPEM(text)
	switch {
	case err != nil:
		l.wrong(varPrivateKey, g, "it is not a private key: %s", err)
	case !holdsPrivateKey(repaired):
		l.wrong(varPrivateKey, g, "it is not a private key: it holds another kind of PEM block, as of a public key")
	}
	l.config.Keys.PrivateKey = NewSecret(repaired)
}

func (l *loader) absentPrivateKey() {
	l.problem("%s or %s is missing: the private key that opens the backup",
		l.setting(varPrivateKey+fileSuffix), l.setting(varPrivateKey))
	l.missing = true
}

// privateKeyOrigin returns where the private key, or its file's path, was given.
func (l *loader) privateKeyOrigin() given {
	for _, layer := range l.layers {
		for _, variable := range []string{varPrivateKey, varPrivateKey + fileSuffix} {
			if g, ok := layer[variable]; ok {
				return g
			}
		}
	}
	return given{}
}

// privateKeyFile reads the file that DBACKED_PRIVATE_KEY names. What is not surely a path is not printed.
func (l *loader) privateKeyFile(g given, path string) (Secret, bool) {
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, ".") || shownPath(path) != path {
		if _, _, err := readFile(path); err != nil {
			l.wrong(varPrivateKey, g, "it is neither PEM text (-----BEGIN …) nor the path of a file that can be read")
			return Secret{}, false
		}
	}
	return l.secretFile(varPrivateKey, g)
}
