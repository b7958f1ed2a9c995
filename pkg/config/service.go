package config

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// SchemeService is the scheme of a Storage that a DBacked service keeps.
const SchemeService = "service"

const (
	defaultServiceURL = "https://api.dbacked.com"
	defaultPoll       = 5 * time.Minute
	shortestPoll      = time.Second
)

// Service is the DBacked service that says when a backup is due, and keeps it.
type Service struct {
	URL  string // without a slash at its end
	Key  Secret
	Poll time.Duration // how often it is asked
}

// serviceMode says whether a service keeps the backups: whether, in the highest place that says either, there is a
// key and no storage.
func (l *loader) serviceMode() bool {
	for _, layer := range l.layers {
		key, isKey := layer[varAPIKey]
		if !isKey {
			key, isKey = layer[varAPIKey+fileSuffix]
		}
		storage, isStorage := layer[varStorage]
		switch {
		case isKey && isStorage:
			l.problem("%s and %s are both given (%s, %s): backups go to a service or to a storage of yours: remove one",
				l.setting(varAPIKey), l.setting(varStorage), key.where(), storage.where())
			return false
		case isKey:
			return true
		case isStorage:
			return false
		}
	}
	return false
}

// DecidedByService are the variables that have no effect with a key of the service.
func DecidedByService() []string {
	return []string{
		varSchedule, varTimezone, varRandomDelay, varLock, varKeepLast, varKeepDaily, varKeepWeekly, varKeepMonthly, varKeepYearly, varKeepFor, varKeepMinimum,
	}
}

func (l *loader) resolveService() {
	s := Service{Poll: defaultPoll}
	s.Key, _ = l.secret(varAPIKey)
	if strings.ContainsAny(s.Key.Reveal(), " \t\r\n") {
		l.problem("%s (from %s): a key holds no blank", l.setting(varAPIKey), l.config.sources[varAPIKey])
	}
	s.URL = l.serviceURL()
	if g, ok := l.get(varPollInterval); ok {
		if s.Poll = l.duration(varPollInterval, defaultPoll); s.Poll > 0 && s.Poll < shortestPoll {
			l.wrong(varPollInterval, g, "%q is too often: use 1s or more", g.text())
		}
	}
	l.config.Storage = Storage{Scheme: SchemeService, Service: s}
	l.config.Places = Places{l.config.Storage}
	l.config.Lock = LockService
	l.resolveUpload()
	l.config.Storage = l.config.Places[0]
	for _, variable := range DecidedByService() {
		if g, ok := l.layers.get(variable); ok {
			l.warn("%s (%s) has no effect: with a key of the service, the project there says when backups are made, and which are kept", l.setting(variable), g.where())
		}
	}
}

// serviceURL does not print what it refuses: that may hold a password.
func (l *loader) serviceURL() string {
	text, g := l.textOr(varAPIURL, defaultServiceURL)
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		l.wrong(varAPIURL, g, "it is not the address of a service: use https://host")
		return ""
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.wrong(varAPIURL, g, "it takes no user, no password and no parameters: the key is %s", varAPIKey)
		return ""
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		l.warn("%s: the key goes to %s in the clear: use https", l.setting(varAPIURL), u.Host)
	}
	return strings.TrimRight(text, "/")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == localhost || ip != nil && ip.IsLoopback()
}
