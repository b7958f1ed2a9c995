package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of settings into doc.go")

// docTable renders the settings as the package's doc shows them.
func docTable() string {
	var out strings.Builder
	for _, s := range Settings() {
		name := s.Variable
		if s.Flag != "" {
			name = s.Flag + ", " + name
		}
		fmt.Fprintf(&out, "//\t%s\n//\t    %s\n", name, s.Meaning)
		if s.Default != "" {
			fmt.Fprintf(&out, "//\t    Default: %s\n", s.Default)
		}
	}
	return out.String()
}

func TestDocShowsEverySetting(t *testing.T) {
	const begin, end = "// Those without a flag must not stand on a command line.\n//\n", "//\n// # Example\n"
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("doc.go has lost the marks around its table")
	}
	if *update {
		text := before + begin + docTable() + end + after
		if err := os.WriteFile("doc.go", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(docTable(), table); diff != "" {
		t.Errorf("doc.go's table is out of date, run go test ./pkg/config -run Doc -update:\n%s", diff)
	}
}

func TestDocNeverMentionsAVariableThatIsNoSetting(t *testing.T) {
	l := newLoader(0)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Name(), "_test.go") || !strings.HasSuffix(file.Name(), ".go") {
			continue
		}
		raw, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`DBACKED_[A-Z0-9_]*[A-Z]`).FindAllString(string(raw), -1) {
			if !l.isSetting(name) && name != strings.TrimSuffix(testPrefix, "_") {
				t.Errorf("%s mentions %s, which is no setting", file.Name(), name)
			}
		}
	}
}

func TestSettingsAreComplete(t *testing.T) {
	settings := Settings()
	if want := reflectedFields(); len(settings) != want {
		t.Errorf("%d settings for %d fields", len(settings), want)
	}
	var variables []string
	for _, s := range settings {
		if slices.Contains(variables, s.Variable) {
			t.Errorf("%s is there twice", s.Variable)
		}
		variables = append(variables, s.Variable)
		if s.Meaning == "" || !strings.HasSuffix(s.Meaning, ".") {
			t.Errorf("%s: meaning %q is no sentence", s, s.Meaning)
		}
		if s.Flag == "" && s.JSONKey != "" {
			t.Errorf("%s has a key for config.json but no flag", s)
		}
	}
	for _, s := range settings {
		if s.Secret && !slices.Contains(variables, s.Variable+fileSuffix) {
			t.Errorf("%s is a secret without a variable for its file", s)
		}
	}
}

func reflectedFields() int { return fieldsOf(reflect.TypeFor[Flags]()) }

func fieldsOf(flags reflect.Type) (n int) {
	for field := range flags.Fields() {
		if field.Anonymous {
			n += fieldsOf(field.Type)
		} else {
			n++
		}
	}
	return n
}

// TestDefaultsAreThoseThatAreDocumented loads nothing but what is required, and compares with the table.
func TestDefaultsAreThoseThatAreDocumented(t *testing.T) {
	c := mustLoad(t, setup{environ: minimal(t), need: all})
	for variable, got := range map[string]string{
		varStorage: c.Storage.String(), varCompression: c.Compression, varFormat: c.Format,
		varDBTLSMode: c.Database.TLS.Mode, varConnectTimeout: c.Timeouts.Connect.String(),
		varLockTimeout: "5m", varStallTimeout: "10m", varStopTimeout: c.Timeouts.Stop.String(),
	} {
		if want := newLoader(0).setting(variable).Default; got != want {
			t.Errorf("%s is %q by default, documented as %q", variable, got, want)
		}
		if c.Source(variable) != "default" {
			t.Errorf("%s: source %q", variable, c.Source(variable))
		}
	}
	if c.Timeouts.Lock.Minutes() != 5 || c.Timeouts.Stall.Minutes() != 10 {
		t.Errorf("time-outs %v", c.Timeouts)
	}
}
