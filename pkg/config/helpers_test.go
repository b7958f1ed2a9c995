package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const all = NeedInstance | NeedDatabase | NeedPublicKey | NeedStorage

// setup is one call of Load in a configuration folder of its own.
type setup struct {
	name    string // "" becomes "shop", "-" stays empty
	flags   Flags
	environ map[string]string
	envFile string // content of NAME.env; none when ""
	json    string // content of config.json; none when ""
	files   map[string]string
	need    Need
	socket  string // what stands for PostgreSQL's socket folder
	options Loader
}

// load returns what Load does, and the folder.
func (s setup) load(t *testing.T) (*Config, string, error) {
	t.Helper()
	folder := s.flags.ConfigDirectory
	if folder == "" {
		folder = t.TempDir()
	}
	switch s.name {
	case "":
		s.name = "shop"
	case "-":
		s.name = ""
	}
	files := maps.Clone(s.files)
	if files == nil {
		files = map[string]string{}
	}
	if s.envFile != "" {
		files["shop.env"] = s.envFile
	}
	if s.json != "" {
		files["config.json"] = s.json
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.flags.ConfigDirectory = folder
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(s.environ)) {
		environ = append(environ, name+"="+s.environ[name])
	}
	l := newLoader(s.need)
	l.pgSocket = s.socket
	l.options = s.options
	c, err := l.load(s.name, s.flags, environ)
	return c, folder, err
}

func mustLoad(t *testing.T, s setup) *Config {
	t.Helper()
	c, _, err := s.load(t)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problems returns what Load finds wrong, and its hint, with the folder's path written as DIR.
func problems(t *testing.T, s setup) []string {
	t.Helper()
	_, folder, err := s.load(t)
	if err == nil {
		return nil
	}
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Fatalf("not an *Error: %v", err)
	}
	var out []string
	texts := wrong.Problems
	if wrong.Hint != "" {
		texts = append(texts, wrong.Hint)
	}
	for _, p := range texts {
		if strings.Contains(p, "\n") {
			t.Errorf("problem of several lines: %q", p)
		}
		out = append(out, strings.ReplaceAll(p, folder, "DIR"))
	}
	return out
}

// minimal returns an environment that gives all a backup needs.
func minimal(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		varDBType: "pg", varDBUsername: "dbacked", varDBName: "shopdb", varPublicKey: publicPEM(t),
	}
}

// with returns base and more, the latter winning; an empty value removes.
func with(base map[string]string, more ...string) map[string]string {
	result := maps.Clone(base)
	if result == nil {
		result = map[string]string{}
	}
	for i := 0; i < len(more); i += 2 {
		result[more[i]] = more[i+1]
		if more[i+1] == "" {
			delete(result, more[i])
		}
	}
	return result
}

// keyPEM is made anew for each call: small, since nothing here parses it.
func keyPEM(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func publicPEM(t *testing.T) string {
	t.Helper()
	_, public := keyPEM(t)
	return public
}

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { //nolint:gosec // the mode is what is tested
		t.Fatal(err)
	}
	return path
}

// wantOne checks that exactly one of the texts holds each of the parts.
func wantOne(t *testing.T, texts []string, parts ...string) {
	t.Helper()
	n := 0
	for _, text := range texts {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) }) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of these hold %q, want 1:\n%s", n, parts, strings.Join(texts, "\n"))
	}
}
