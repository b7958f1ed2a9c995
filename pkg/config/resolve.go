package config

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// resolveState follows systemd, which names the folders of StateDirectory= in STATE_DIRECTORY, colons between.
func (l *loader) resolveState() {
	systemd, _, _ := strings.Cut(l.inherited["STATE_DIRECTORY"], ":")
	directory, g := l.textOr(varStateDirectory, "")
	switch {
	case directory != "":
		l.config.StateDirectory, _ = l.path(varStateDirectory, g, directory)
	case filepath.IsAbs(systemd):
		l.config.StateDirectory = filepath.Join(systemd, stateFolder)
	case l.config.Instance != "":
		l.config.StateDirectory = filepath.Join(defaultState, l.config.Instance, stateFolder)
	}
}

func (l *loader) resolveTimeouts() {
	t := &l.config.Timeouts
	t.Connect = l.duration(varConnectTimeout, 30*time.Second)
	t.Lock = l.duration(varLockTimeout, 5*time.Minute)
	t.Stall = l.duration(varStallTimeout, 10*time.Minute)
	t.Stop = l.duration(varStopTimeout, 10*time.Second)
}

func (l *loader) duration(variable string, fallback time.Duration) time.Duration {
	g, ok := l.get(variable)
	if !ok {
		return fallback
	}
	d, err := time.ParseDuration(g.text())
	switch {
	case err != nil:
		l.wrong(variable, g, "%q is not a duration: write 30s, 5m or 1h30m", g.text())
	case d <= 0:
		l.wrong(variable, g, "%q would mean no wait, or one without an end: use more than 0s", g.text())
	}
	return d
}

func (l *loader) resolveSealing() {
	compression, g := l.textOr(varCompression, "zstd")
	if !validCompression(compression) {
		l.wrong(varCompression, g, "%q is no compression: use zstd, zstd:1 to zstd:19, gzip or none", compression)
	}
	format, g := l.textOr(varFormat, FormatV1)
	if format != FormatV1 && format != FormatLegacy {
		l.wrong(varFormat, g, "%q is no format: use 1, or legacy for the former agent's", format)
	}
	l.config.Compression, l.config.Format = compression, format
}

func validCompression(text string) bool {
	const highest = 19
	switch text {
	case "zstd", "gzip", "none":
		return true
	}
	digits, ok := strings.CutPrefix(text, "zstd:")
	level, err := strconv.Atoi(digits)
	return ok && err == nil && level >= 1 && level <= highest && strconv.Itoa(level) == digits
}

func (l *loader) resolveTrust() {
	g, ok := l.get(varTrust)
	if !ok {
		return
	}
	form := regexp.MustCompile(`^[^+\s]+\+[0-9a-fA-F]{8}\+[A-Za-z0-9+/=]+$`)
	for key := range strings.FieldsFuncSeq(g.text(), func(r rune) bool { return r == ',' || strings.ContainsRune(blanks, r) }) {
		if !form.MatchString(key) {
			l.wrong(varTrust, g, "%q is not a verifier key, which looks like shop+1a2b3c4d+AY…", key)
		}
		l.config.Trust = append(l.config.Trust, key)
	}
}
