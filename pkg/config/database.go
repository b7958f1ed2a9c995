package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	portPostgres = 5432
	portMySQL    = 3306
	maxPort      = 65535
	localhost    = "localhost"
	tlsPrefer    = "prefer"
)

func (l *loader) resolveDatabase() {
	d := &l.config.Database
	d.Type = l.databaseType()
	d.Host = l.databaseHost(d.Type)
	d.Port = l.databasePort(d.Type)
	d.Username = l.required(varDBUsername)
	d.Name = l.required(varDBName)
	d.Password, _ = l.secret(varDBPassword)
	d.DumperOptions = l.dumperOptions()
	d.ToolsPath = l.toolsPath()
	d.TLS = l.tls()
}

func (l *loader) required(variable string) string {
	g, ok := l.get(variable)
	if !ok {
		l.absent(variable)
	}
	return g.text()
}

func (l *loader) databaseType() string {
	g, ok := l.get(varDBType)
	if !ok {
		l.absent(varDBType)
		return ""
	}
	switch strings.ToLower(g.text()) {
	case Postgres, "postgres", "postgresql":
		return Postgres
	case MySQL, "mariadb":
		return MySQL
	}
	l.wrong(varDBType, g, "%q is no engine that dbacked knows: use pg or mysql", g.text())
	return ""
}

func (l *loader) databaseHost(engine string) string {
	g, ok := l.get(varDBHost)
	if !ok {
		if engine == Postgres && l.pgSocket != "" {
			return l.pgSocket
		}
		return localhost
	}
	host := g.text()
	if strings.HasPrefix(host, "/") {
		return filepath.Clean(host)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	switch {
	// A URL may hold a password, so it is not printed.
	case strings.ContainsAny(host, "/@"):
		l.wrong(varDBHost, g, "it is not a host: give name, port, user and password each in its own setting, "+
			"or an absolute path for a unix socket")
	case strings.Contains(host, ":"):
		l.wrong(varDBHost, g, "%q holds a colon: give the port as %s (--db-port)", host, varDBPort)
	case strings.HasPrefix(host, "-") || strings.ContainsAny(host, blanks+",;'\"\\=") || oneLine(host) != host:
		l.wrong(varDBHost, g, "%q is not a host name, an IP address or an absolute path", host)
	}
	return host
}

func (l *loader) databasePort(engine string) int {
	g, ok := l.get(varDBPort)
	if !ok {
		if engine == MySQL {
			return portMySQL
		}
		return portPostgres
	}
	port, err := strconv.Atoi(g.text())
	if err != nil || port < 1 || port > maxPort {
		l.wrong(varDBPort, g, "%q is not a port: use a number from 1 to %d", g.text(), maxPort)
	}
	return port
}

func (l *loader) dumperOptions() []string {
	g, ok := l.get(varDumperOptions)
	if !ok {
		return nil
	}
	words, err := splitWords(g.text())
	if err != nil {
		l.wrong(varDumperOptions, g, "%s: quote as in a shell", err)
	}
	return words
}

func (l *loader) toolsPath() []string {
	g, ok := l.get(varToolsPath)
	if !ok {
		return nil
	}
	var folders []string
	for folder := range strings.SplitSeq(g.text(), ":") {
		switch info, err := os.Stat(folder); {
		case folder == "":
			continue
		case !filepath.IsAbs(folder):
			l.wrong(varToolsPath, g, "%q is not an absolute path", folder)
		case err != nil:
			l.wrong(varToolsPath, g, "%s: %s", folder, fileError(err))
		case !info.IsDir():
			l.wrong(varToolsPath, g, "%s is not a folder", folder)
		}
		folders = append(folders, folder)
	}
	return folders
}

func (l *loader) tls() TLS {
	modes := []string{"disable", tlsPrefer, "require", "verify-ca", "verify-full"}
	mode, g := l.textOr(varDBTLSMode, tlsPrefer)
	if !slices.Contains(modes, mode) {
		l.wrong(varDBTLSMode, g, "%q is not a mode: use one of %s", mode, strings.Join(modes, ", "))
	}
	t := TLS{Mode: mode, CA: l.readableFile(varDBTLSCA), Cert: l.readableFile(varDBTLSCert), Key: l.readableFile(varDBTLSKey)}
	if (t.Cert == "") != (t.Key == "") {
		l.problem("%s and %s go together: give both or none", l.setting(varDBTLSCert), l.setting(varDBTLSKey))
	}
	if mode == "disable" && t.CA+t.Cert+t.Key != "" {
		l.warn("%s is disable, so the certificates that are given are not used", l.setting(varDBTLSMode))
	}
	return t
}

// readableFile returns the path of a file that the tools will read, after a look whether they can.
func (l *loader) readableFile(variable string) string {
	g, ok := l.get(variable)
	if !ok {
		return ""
	}
	path, ok := l.path(variable, g, g.text())
	if !ok {
		return ""
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return path // a pipe gives its content once, and that to the tool
	}
	_, worldReadable, err := readFile(path)
	switch {
	case err != nil:
		l.wrong(variable, g, "%s: %s", path, err)
	case worldReadable && (variable == varDBTLSKey || variable == varRcloneConfig):
		l.warn("%s", worldReadableText(l.setting(variable), path))
	}
	return path
}

// path returns the absolute path that text is. In a file it must be absolute: dbacked is started from many folders.
func (l *loader) path(variable string, g given, text string) (string, bool) {
	inFile := g.origin == fromEnvFile || g.origin == fromJSON
	if inFile && !filepath.IsAbs(text) {
		l.wrong(variable, g, "a path in a file of settings must be absolute, or it would depend on the current folder")
		return "", false
	}
	absolute, err := filepath.Abs(text)
	if err != nil {
		l.wrong(variable, g, "the current folder cannot be told: give an absolute path")
		return "", false
	}
	return absolute, true
}

func worldReadableText(s Setting, path string) string {
	return fmt.Sprintf("%s: every user of this machine can read %s: chmod 600 %s", s, path, path)
}
