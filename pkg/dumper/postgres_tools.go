package dumper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	pgVersionTime  = 30 * time.Second // for a tool to say its version
	pgVersionBytes = 4 << 10
)

// pgTool is an installed program of PostgreSQL.
type pgTool struct {
	path    string
	version string // as it says it: "15.18 (Debian 15.18-0+deb12u1)"
	release pgRelease
	chosen  bool // it lies in a folder that the user named
}

// dumpTool is the pg_dump for a server: one in the named folders that is not
// older than the server, else the newest that is installed.
func (p *Postgres) dumpTool(ctx context.Context, server pgRelease) (pgTool, error) {
	return p.newestTool(ctx, "pg_dump", server)
}

// newestTool is a program that is not older than a server.
func (p *Postgres) newestTool(ctx context.Context, name string, server pgRelease) (best pgTool, err error) {
	found, err := p.findTools(ctx, name, func(t pgTool) bool { return t.chosen && t.release >= server })
	if err != nil {
		return best, err
	}
	for _, t := range found {
		if t.release >= server && (t.chosen || t.release > best.release) {
			best = t
		}
		if best.chosen {
			return best, nil
		}
	}
	if best.path == "" {
		return best, fmt.Errorf("the server is PostgreSQL %s and needs a %s that is not older: install the package postgresql-client-%s, or name its folder in DBACKED_TOOLS_PATH; %s",
			server, name, server, pgFound(name, found))
	}
	return best, nil
}

// pgFound says which tools there are.
func pgFound(name string, found []pgTool) string {
	if len(found) == 0 {
		return "no " + name + " was found"
	}
	var list []string
	for _, t := range found {
		list = append(list, fmt.Sprintf("%s (%s)", t.path, t.release))
	}
	return "found " + strings.Join(list, ", ")
}

// findTools returns the programs of a name that are installed, up to one that is
// enough. Those that do not run are left out.
func (p *Postgres) findTools(ctx context.Context, name string, enough func(pgTool) bool) ([]pgTool, error) {
	var found []pgTool
	seen := map[string]bool{}
	add := func(path string, chosen bool) error {
		if seen[path] || ctx.Err() != nil || len(found) > 0 && enough(found[len(found)-1]) {
			return context.Cause(ctx)
		}
		seen[path] = true
		t, err := p.probe(ctx, path)
		if err != nil {
			if chosen && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s, which DBACKED_TOOLS_PATH names, does not run: %w", path, err)
			}
			return context.Cause(ctx)
		}
		t.chosen = chosen
		found = append(found, t)
		return nil
	}
	for _, dir := range p.tools.Path {
		if err := add(filepath.Join(dir, name), true); err != nil {
			return nil, err
		}
	}
	for _, path := range pgInstalled(name, p.searchPath()) {
		if err := add(path, false); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// searchPath is the PATH that the user set.
func (p *Postgres) searchPath() string {
	for _, entry := range p.tools.Environ {
		if path, ok := strings.CutPrefix(entry, "PATH="); ok {
			return path
		}
	}
	return os.Getenv("PATH")
}

// pgInstalled returns the real programs of a name, not Debian's pg_wrapper, which
// picks a version by rules of its own.
func pgInstalled(name, searchPath string) []string {
	var paths []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*"} {
		matches, _ := filepath.Glob(filepath.Join(pattern, name)) // the patterns are right
		paths = append(paths, matches...)
	}
	for _, dir := range filepath.SplitList(searchPath) {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil || !filepath.IsAbs(path) || filepath.Base(path) != name || pgIsScript(path) {
			continue
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

func pgIsScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == "#!"
}

// pgVersion finds "15.18" or "19beta1" in what a tool or a server says.
var pgVersion = regexp.MustCompile(`(\d+)(?:\.(\d+))?`)

// probe asks a program for its version.
func (p *Postgres) probe(ctx context.Context, path string) (pgTool, error) {
	if _, err := os.Stat(path); err != nil {
		return pgTool{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, pgVersionTime)
	defer cancel()
	t := &tool{path: path, args: []string{"--version"}, env: p.environ()}
	out, err := t.capture(ctx, pgVersionBytes)
	if err != nil {
		return pgTool{}, err
	}
	_, version, _ := strings.Cut(string(bytes.TrimSpace(out)), "(PostgreSQL) ")
	release, err := parsePgRelease(version)
	if err != nil {
		return pgTool{}, fmt.Errorf("its version is %q: %w", bytes.TrimSpace(out), err)
	}
	return pgTool{path: path, version: version, release: release}, nil
}

// parsePgRelease reads the major release of "15.18 (Debian …)", "9.6.24", "19beta1".
func parsePgRelease(version string) (pgRelease, error) {
	m := pgVersion.FindStringSubmatchIndex(version)
	if m == nil || m[0] != 0 {
		return 0, errors.New("not a version of PostgreSQL")
	}
	major, err := strconv.Atoi(version[m[2]:m[3]])
	if err != nil || major > 10000 {
		return 0, errors.New("not a version of PostgreSQL")
	}
	if major >= 10 || m[4] < 0 {
		return pgRelease(major * 100), nil
	}
	minor, _ := strconv.Atoi(version[m[4]:m[5]])
	return pgRelease(major*100 + minor%100), nil
}
