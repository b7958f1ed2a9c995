package config

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// resolveAgent reads what only the agent needs. The schedule is checked by who runs it.
func (l *loader) resolveAgent() {
	a := &l.config.Agent
	a.Schedule, _ = l.textOr(varSchedule, "@daily")
	a.Zone = l.zone()
	a.RandomDelay = l.randomDelay()
	a.Listen = l.listen()
	a.PingURL = l.pingURL()
}

func (l *loader) zone() *time.Location {
	g, ok := l.get(varTimezone)
	if !ok {
		return time.Local
	}
	zone, err := time.LoadLocation(g.text())
	if err != nil {
		l.wrong(varTimezone, g, "%q is no time zone: use a name such as Europe/Paris or UTC (timedatectl list-timezones)", g.text())
		return time.Local
	}
	return zone
}

func (l *loader) randomDelay() time.Duration {
	g, ok := l.get(varRandomDelay)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(g.text())
	if err != nil || d < 0 {
		l.wrong(varRandomDelay, g, "%q is not a duration: write 10m or 1h", g.text())
	}
	return d
}

func (l *loader) listen() string {
	g, ok := l.get(varListen)
	if !ok {
		return ""
	}
	if strings.HasPrefix(g.text(), "/") {
		return filepath.Clean(g.text())
	}
	if _, port, err := net.SplitHostPort(g.text()); err != nil || port == "" {
		l.wrong(varListen, g, "%q is no address: use host:port, as in 127.0.0.1:9480, or the absolute path of a unix socket", g.text())
	}
	return g.text()
}

// pingURL does not print the URL: whoever knows it can tell lies to the switch.
func (l *loader) pingURL() Secret {
	secret, ok := l.secret(varPingURL)
	if !ok {
		return Secret{}
	}
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		g, given := l.layers.get(varPingURL)
		if !given {
			g, _ = l.layers.get(varPingURL + fileSuffix)
		}
		l.wrong(varPingURL, g, "it is not a URL: use https://host/path")
	}
	return secret
}
