package dumper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	toolAnswerTime = 30 * time.Second // for --version and --help
	toolAnswerSize = 1 << 20
)

// mysqlTool is one installed program.
type mysqlTool struct {
	path    string
	maria   bool
	version mysqlVersion
	text    string // its own words
	given   bool   // it lies in a folder of Tools.Path
}

func (t mysqlTool) String() string {
	brand := "MySQL"
	if t.maria {
		brand = "MariaDB"
	}
	return fmt.Sprintf("%s (%s %s)", t.path, brand, t.version)
}

// dumpTool picks the dump program for a server: of its own brand, at least as
// new as it is, and the newest of those; from Tools.Path if one there will do.
// For MySQL, MariaDB's program is taken where there is no other.
func (m *MySQL) dumpTool(ctx context.Context, server mysqlServer) (mysqlTool, error) {
	found, err := m.programs(ctx, "mariadb-dump", "mysqldump")
	if err != nil {
		return mysqlTool{}, err
	}
	own := func(t mysqlTool) bool { return t.maria == server.maria() && !t.version.less(server.version) }
	if t, ok := newest(found, own); ok {
		return t, nil
	}
	if t, ok := newest(found, func(t mysqlTool) bool { return t.maria }); ok && !server.maria() {
		return t, nil
	}
	return mysqlTool{}, noMySQLTool("dump program", server, found)
}

// clientTool picks the client for a server: of its own brand if there is one.
func (m *MySQL) clientTool(ctx context.Context, server mysqlServer) (mysqlTool, error) {
	found, err := m.programs(ctx, "mariadb", "mysql")
	if err != nil {
		return mysqlTool{}, err
	}
	if t, ok := newest(found, func(t mysqlTool) bool { return t.maria == server.maria() }); ok {
		return t, nil
	}
	if t, ok := newest(found, func(mysqlTool) bool { return true }); ok {
		return t, nil
	}
	return mysqlTool{}, noMySQLTool("client", server, found)
}

func noMySQLTool(what string, server mysqlServer, found []mysqlTool) error {
	install := "mysql-client (or mysql-client-core) of MySQL " + server.version.String() + " or newer"
	if server.maria() {
		install = "mariadb-client of MariaDB " + server.version.String() + " or newer"
	}
	seen := "none is installed"
	if len(found) > 0 {
		names := make([]string, len(found))
		for i, t := range found {
			names[i] = t.String()
		}
		seen = "found only " + strings.Join(names, ", ")
	}
	return fmt.Errorf("no %s fits the server, which is %s: %s: install the package %s, or name its folder in DBACKED_TOOLS_PATH",
		what, server, seen, install)
}

// newest is the newest program that fits, one of a given folder before others.
func newest(tools []mysqlTool, fits func(mysqlTool) bool) (best mysqlTool, ok bool) {
	for _, t := range tools {
		if !fits(t) || ok && best.given && !t.given {
			continue
		}
		if !ok || t.given && !best.given || best.version.less(t.version) {
			best, ok = t, true
		}
	}
	return best, ok
}

// programs finds the installed programs of some names. One in a folder that was
// asked for must run; others that do not are passed over.
func (m *MySQL) programs(ctx context.Context, names ...string) ([]mysqlTool, error) {
	var found []mysqlTool
	seen := map[string]bool{}
	for i, dir := range append(append([]string{}, m.tools.Path...), mysqlFolders()...) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			real, err := filepath.EvalSymlinks(path)
			if err != nil || seen[real] || !executable(real) {
				continue
			}
			seen[real] = true
			t, err := m.ask(ctx, path)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if t.given = i < len(m.tools.Path); err != nil && t.given {
				return nil, fmt.Errorf("%s does not say its version: %w", path, err)
			}
			if err == nil {
				found = append(found, t)
			}
		}
	}
	return found, nil
}

// mysqlFolders are the usual places of the programs.
func mysqlFolders() []string {
	dirs := []string{"/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin", "/usr/local/mariadb/bin"}
	for _, pattern := range []string{"/opt/mysql*/bin", "/opt/mysql/*/bin", "/opt/mariadb*/bin"} {
		more, _ := filepath.Glob(pattern) // the pattern is well formed
		dirs = append(dirs, more...)
	}
	return dirs
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// ask asks a program for its version.
func (m *MySQL) ask(ctx context.Context, path string) (mysqlTool, error) {
	out, err := m.answer(ctx, path, "--version")
	if err != nil {
		return mysqlTool{}, err
	}
	text := strings.TrimSpace(string(out))
	t := mysqlTool{path: path, text: text, maria: strings.Contains(text, "MariaDB"), version: parseMySQLVersion(text)}
	if t.version == (mysqlVersion{}) {
		return mysqlTool{}, fmt.Errorf("it says %.100q", text)
	}
	return t, nil
}

func (m *MySQL) answer(ctx context.Context, path, question string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, toolAnswerTime, fmt.Errorf("%s gives no answer to %s", path, question))
	defer cancel()
	t := &tool{path: path, args: []string{"--no-defaults", question}, env: m.environ()}
	return t.capture(ctx, toolAnswerSize)
}

var (
	mysqlDistrib = regexp.MustCompile(`(?:Distrib|from) (\d+)\.(\d+)\.(\d+)`)
	mysqlNumber  = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)`)
	mysqlOption  = regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z0-9-]+)`)
)

// parseMySQLVersion reads a version out of what a program or a server says:
// "mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu".
func parseMySQLVersion(text string) (v mysqlVersion) {
	// Some MariaDB servers lead with this, for the sake of old replicas.
	text = strings.TrimPrefix(text, "5.5.5-")
	match := mysqlDistrib.FindStringSubmatch(text)
	if match == nil {
		match = mysqlNumber.FindStringSubmatch(text)
	}
	if match == nil {
		return v
	}
	for i := range v {
		v[i], _ = strconv.Atoi(match[i+1]) // digits; one that overflows is no version
	}
	return v
}

// knows says whether a program has an option.
func (m *MySQL) knows(ctx context.Context, path, option string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.helps[path] == nil {
		out, err := m.answer(ctx, path, "--help")
		if err != nil {
			return false, fmt.Errorf("asking %s for its options: %w", path, err)
		}
		options := map[string]bool{}
		for _, match := range mysqlOption.FindAllSubmatch(out, -1) {
			options[string(match[1])] = true
		}
		m.helps[path] = options
	}
	return m.helps[path][option], nil
}

// environ is the programs' whole environment.
func (m *MySQL) environ() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	for _, e := range m.tools.Environ {
		name, _, _ := strings.Cut(e, "=")
		if name != "HOME" && !strings.HasPrefix(name, "MYSQL") && !strings.HasPrefix(name, "MARIADB") {
			env = append(env, e)
		}
	}
	return env
}
