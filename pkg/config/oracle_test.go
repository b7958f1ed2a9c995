package config

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"

var randomInputs = flag.Int("random", 150, "how many random env files to compare with systemd's reader")

// oracle asks systemd's own reader what an env file sets. Its generator for environment.d uses the same parser as
// EnvironmentFile=, but expands $ ($$ is one $), leaves names out whose value is empty, and adds the machine's own files.
type oracle struct {
	home string
	base map[string]string
	// joinsComments: before version 254, a comment's trailing backslash swallows the next line.
	joinsComments bool
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	if _, err := os.Stat(generator); err != nil {
		if os.Getenv("DBACKED_TEST_NO_SKIP") == "1" {
			t.Fatalf("systemd's environment generator is needed (apt install systemd): %v", err)
		}
		t.Skipf("systemd's environment generator is needed (apt install systemd): %v", err)
	}
	o := &oracle{home: t.TempDir()}
	if err := os.Mkdir(filepath.Join(o.home, "environment.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.base = o.read(t, nil)
	_, kept := o.read(t, []byte("# a\\\nKEPT=1\n"))["KEPT"]
	o.joinsComments = !kept
	return o
}

// read returns what systemd makes of text, without empty values.
func (o *oracle) read(t testing.TB, text []byte) map[string]string {
	t.Helper()
	doubled := bytes.ReplaceAll(text, []byte("$"), []byte("$$"))
	if err := os.WriteFile(filepath.Join(o.home, "environment.d", "a.conf"), doubled, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(generator)
	cmd.Env = []string{"XDG_CONFIG_HOME=" + o.home, "HOME=/nonexistent", "SYSTEMD_LOG_LEVEL=emerg"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		t.Skip("systemd's own reader crashed on this input") // seen with version 252 on text that is not UTF-8
	}
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if value = unquote(t, value); value != "" && o.base[name] != value {
			values[name] = value
		}
	}
	return values
}

// unquote undoes the generator's own quoting of its output: "…" with the escapes of C.
func unquote(t testing.TB, value string) string {
	t.Helper()
	inner, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return value
	}
	inner = strings.TrimSuffix(inner, `"`)
	return regexp.MustCompile(`(?s)\\([0-7]{3}|.)`).ReplaceAllStringFunc(inner, func(escape string) string {
		if octal, err := strconv.ParseUint(escape[1:], 8, 8); err == nil && len(escape) == 4 {
			return string([]byte{byte(octal)})
		}
		if i := strings.IndexByte("abfnrtv", escape[1]); i >= 0 {
			return string("\a\b\f\n\r\t\v"[i])
		}
		return escape[1:]
	})
}

// effective is what our reader makes of text, in the oracle's terms: the last non-empty value by valid name. The
// second result is false for text that systemd refuses as a whole or that its versions read differently.
func effective(text []byte, o *oracle) (map[string]string, bool) {
	entries, notes := parseEnv(text)
	values := map[string]string{}
	for _, n := range checkEnv(text, entries, notes) {
		if n.text == noteNul || n.text == noteUTF8 || n.text == noteCommentBackslash && o.joinsComments {
			return nil, false
		}
	}
	for _, e := range entries {
		if !systemdUTF8(e.name) {
			return nil, false
		}
		if isVariable(e.name) && e.value != "" {
			values[e.name] = e.value
		}
	}
	maps.DeleteFunc(values, func(name, value string) bool { return o.base[name] == value })
	return values, true
}

func agree(t *testing.T, o *oracle, text []byte) {
	t.Helper()
	ours, ok := effective(text, o)
	if !ok {
		return
	}
	if diff := cmp.Diff(o.read(t, text), ours); diff != "" {
		t.Errorf("systemd (-) and dbacked (+) read %q differently:\n%s", text, diff)
	}
}

func seeds() []string {
	return []string{
		"A=b\nB='c'\nC=\"d\"\n", "A=a$b\nB=\"$c\\$\"\nC='$d$$'\nD=\\$e", "A=\\\n  b c \nB=1", "A='x\ny' z\r\nB=\"\\\r\n\\\n\"",
		" A = b # c\n;x\n#y\\\nB=2\n", "A=\"a\" 'b' c \"d\" \nB", "A=\"unclosed \nB=1", "A=a\\", "=a=b\n1=2\nA-B=3\nexport C=4\nD=5",
		"A=\x01\x02\x7f\x1b\u00e9\u2603\U0001f600\t.\n", "A=\xff\n", "A=1\x00\nB=2", "A=1\nA=2\nA=\n", "A=`id`\\`\"q\"\nB=\"`\\`\"",
		"\n\n\r\r\n \t A=1 \\\n \\\n\n", "\\A=1\nB\\\n=2\nC=\\\\\\\nD=3", "A= \"b\" \\\n\"c\"\n", "#\\\\\nA=1\n;\\\r\nB=2\n",
		"A={a};*?[b]<c>|d&(e)!~%^\nB=a'b\"c\nC='a'\\''b'",
		"DBACKED_PUBLIC_KEY=\"-----BEGIN PUBLIC KEY-----\nMIIB+/==\n-----END PUBLIC KEY-----\n\"\n",
	}
}

func TestParseEnvAgreesWithSystemd(t *testing.T) {
	o := newOracle(t)
	for _, seed := range seeds() {
		agree(t, o, []byte(seed))
		agree(t, o, []byte(strings.ReplaceAll(seed, "\n", "\r\n")))
		for cut := range len(seed) {
			if cut%3 == 0 {
				agree(t, o, []byte(seed[:cut]))
			}
		}
	}
}

// TestParseEnvAgreesWithSystemdAtRandom strings the bytes together that mean something to the parser.
func TestParseEnvAgreesWithSystemdAtRandom(t *testing.T) {
	o := newOracle(t)
	pieces := []string{"A", "=", "B=", "\nC=", "\n", "\r\n", "\r", " ", "\t", "\"", "'", "\\", "\\\n", "$", "#", ";", "`", "é", "\nD=x"}
	random := rand.New(rand.NewPCG(1, 2))
	for range *randomInputs {
		text := "A="
		for range random.IntN(24) {
			text += pieces[random.IntN(len(pieces))]
		}
		agree(t, o, []byte(text))
	}
}

// quote writes a value as one that systemd and dbacked read back the same.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(value) + `"`
}

func FuzzQuoteRoundTrip(f *testing.F) {
	for _, value := range append(seeds(), `pa$$ "w" \ # '`, `\`, `\\\n`, "", " a ", "a\n", "a\\\nb") {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		entries, notes := parseEnv([]byte("A=" + quote(value) + "\nB=1\n"))
		want := []entry{{1, "A", value}, {2 + strings.Count(value, "\n"), "B", "1"}}
		if diff := cmp.Diff(want, entries, cmp.AllowUnexported(entry{})); diff != "" || len(notes) > 0 {
			t.Errorf("%q: notes %v, %s", value, notes, diff)
		}
	})
}

func FuzzEnvFile(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	o := newOracle(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, notes := parseEnv(text)
		lines := 1 + bytes.Count(text, []byte("\n"))
		for _, n := range checkEnv(text, entries, notes) {
			if n.line < 1 || n.line > lines {
				t.Errorf("%q: note about line %d of %d: %s", text, n.line, lines, n.text)
			}
		}
		for _, e := range entries {
			if e.line < 1 || e.line > lines || e.name == "" {
				t.Errorf("%q: entry %+v of %d lines", text, e, lines)
			}
		}
		if len(text) < 1<<12 {
			agree(t, o, text)
		}
	})
}
